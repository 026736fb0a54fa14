package e2e

import (
	"os"
	"sync"
	"testing"
	"time"
)

// feed grows an input file until it is stopped, so that a test can interrupt a copy at any time.
type feed struct {
	t    *testing.T
	file *os.File
	stop chan struct{}
	once sync.Once
	done chan struct{}
	sent int // read it only after end
}

// startFeed writes records to a new file at once, and then appends ten every 20 ms: 500 a second.
func startFeed(t *testing.T, path string, atOnce int) *feed {
	t.Helper()
	writeInput(t, path, 0, 0, int64(atOnce))
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := &feed{t: t, file: file, stop: make(chan struct{}), done: make(chan struct{}), sent: atOnce}
	go f.run()
	t.Cleanup(func() { f.end() })
	return f
}

func (f *feed) run() {
	defer close(f.done)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		text := ""
		for range 10 {
			text += line(0, int64(f.sent))
			f.sent++
		}
		if _, err := f.file.WriteString(text); err != nil {
			f.t.Errorf("feed: %v", err)
			return
		}
		select {
		case <-tick.C:
		case <-f.stop:
			return
		}
	}
}

// end stops the feed and returns how many records it has written, from 0 on.
func (f *feed) end() int {
	f.once.Do(func() {
		close(f.stop)
		<-f.done
		_ = f.file.Close()
	})
	return f.sent
}

// following is what a source's config needs to follow a feed.
func following() config { return config{"follow": "true", "poll.interval.ms": "20"} }
