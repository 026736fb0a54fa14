package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/gantry-connect/gantry/client"
)

const (
	redraw   = 200 * time.Millisecond // on a terminal
	report   = 2 * time.Second        // elsewhere, where every drawing stays
	barWidth = 28
)

// bar is one connector's line.
type bar struct {
	name    string
	sink    bool
	size    int64 // bytes of a source's file
	records int64
	rate    float64
	lag     int64 // records of a sink, bytes of a source; -1 while unknown
	running bool
	asOf    time.Time // of the oldest of its tasks' reports
}

// done is the part of the work that is finished, in [0, 1].
func (b *bar) done() float64 {
	switch {
	case b.lag < 0 || !b.running:
		return 0
	case b.lag == 0:
		return 1
	case b.sink:
		return float64(b.records) / float64(b.records+b.lag)
	default:
		return max(0, 1-float64(b.lag)/float64(max(b.size, 1)))
	}
}

func (b *bar) refresh(ctx context.Context, c *client.Client) error {
	tasks, err := c.Progress(ctx, b.name)
	if err != nil {
		return err
	}
	b.records, b.rate, b.lag, b.running = 0, 0, 0, len(tasks) > 0
	for i, t := range tasks {
		if i == 0 || t.UpdatedAt.Before(b.asOf) {
			b.asOf = t.UpdatedAt
		}
		lag := t.LagBytes
		if b.sink {
			lag = t.LagRecords
		}
		b.records += t.Records
		b.rate += t.RecordsPerSecond
		b.running = b.running && t.State == client.Running
		if lag < 0 || b.lag < 0 {
			b.lag = -1
		} else {
			b.lag += lag
		}
	}
	return nil
}

func (b *bar) String() string {
	filled := int(b.done() * barWidth)
	lag := "        waiting for a worker"
	if b.running && b.lag >= 0 {
		unit := "bytes"
		if b.sink {
			unit = "records"
		}
		lag = fmt.Sprintf("%12d %s to go", b.lag, unit)
	}
	return fmt.Sprintf("%-20s [%s%s] %8d records %9.0f/s %s", b.name, strings.Repeat("=", filled),
		strings.Repeat(" ", barWidth-filled), b.records, b.rate, lag)
}

// board draws the bars, over each other on a terminal.
type board struct {
	out      io.Writer
	terminal bool
	drawn    int
}

func newBoard(out io.Writer) *board {
	f, ok := out.(*os.File)
	return &board{out: out, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

func (d *board) interval() time.Duration {
	if d.terminal {
		return redraw
	}
	return report
}

func (d *board) draw(bars []*bar) {
	if d.terminal && d.drawn > 0 {
		fmt.Fprintf(d.out, "\x1b[%dA", d.drawn)
	}
	for _, b := range bars {
		clear := ""
		if d.terminal {
			clear = "\x1b[K"
		}
		fmt.Fprintf(d.out, "%s%s\n", b, clear)
	}
	if !d.terminal {
		fmt.Fprintln(d.out)
	}
	d.drawn = len(bars)
}
