package bench

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"
)

// What is aimed at.
const (
	shareOfRaw   = 0.8       // of what the raw stages allow
	memoryLimit  = 150 << 20 // bytes of a worker with one connector at full speed
	kafkaConnect = 200_000   // lines of 100 bytes a second, file to topic to file, for orientation
)

// copyResult is what was measured of one way through Gantry and of its stages without Gantry, once a round. Topics count up to
// when their messages can be pulled, unless it says acknowledged: what the broker still has to do takes the cores of what follows.
type copyResult struct {
	title       string
	stages      []string
	raw         [][]float64 // rates by stage
	gantry      []float64
	peak        []int64
	cpu         []time.Duration // of the worker per million records
	rawTree     []time.Duration // of all processes per million records, the sum over the stages
	tree        []time.Duration // the same while Gantry copied
	acked       []float64       // Gantry's rate up to the last acknowledgement; the same as gantry where it is the sink that counts
	rawAcked    [][]float64     // of the stages
	orientation float64         // another system's rate; 0: none
}

func newCopyResult(title string, stages ...string) *copyResult {
	return &copyResult{title: title, stages: stages, raw: make([][]float64, len(stages)), rawAcked: make([][]float64, len(stages))}
}

func (r *copyResult) add(m measured, u usage, records int) {
	r.gantry, r.acked, r.tree = append(r.gantry, m.done()), append(r.acked, m.rate), append(r.tree, m.cpu)
	r.peak = append(r.peak, u.peak)
	r.cpu = append(r.cpu, perMillion(u.cpu, records))
}

func (r *copyResult) addRaw(stages ...func() (measured, error)) error {
	var cpu time.Duration
	for i, stage := range stages {
		m, err := stage()
		if err != nil {
			return fmt.Errorf("raw %s: %w", r.stages[i], err)
		}
		r.raw[i], r.rawAcked[i] = append(r.raw[i], m.done()), append(r.rawAcked[i], m.rate)
		cpu += m.cpu
	}
	r.rawTree = append(r.rawTree, cpu)
	return nil
}

// last is the last round in a line.
func (r *copyResult) last() string {
	n := len(r.gantry) - 1
	rates := make([]float64, len(r.raw))
	text := "gantry " + perSecond(r.gantry[n])
	for i, stage := range r.stages {
		rates[i] = r.raw[i][n]
		text += fmt.Sprintf(", raw %s %s", stage, perSecond(rates[i]))
	}
	limit, _ := possible(rates)
	return fmt.Sprintf("%s: %.2f", text, r.gantry[n]/limit)
}

// possible is what stages of these rates allow: where they share few cores their times add up, elsewhere the slowest
// one decides.
func possible(rates []float64) (limit float64, how string) {
	if runtime.NumCPU() >= 2*len(rates)+2 {
		return slices.Min(rates), "the slowest stage"
	}
	sum := 0.0
	for _, r := range rates {
		sum += 1 / r
	}
	return 1 / sum, "1/(1/a + 1/b + …), as the stages share the cores"
}

// shares is Gantry's share of what was possible, by round: neighbours in time have had the same machine.
func shares(gantry []float64, raw [][]float64) []float64 {
	var all []float64
	for n := range gantry {
		rates := make([]float64, len(raw))
		for i := range raw {
			rates[i] = raw[i][n]
		}
		limit, _ := possible(rates)
		all = append(all, gantry[n]/limit)
	}
	return all
}

func (r *copyResult) print(w io.Writer) {
	fmt.Fprintln(w, r.title)
	rates := make([]float64, len(r.raw))
	for i, stage := range r.stages {
		rates[i] = median(r.raw[i])
		line(w, "raw "+stage, perSecond(rates[i]), spread(r.raw[i], perSecond))
	}
	limit, how := possible(rates)
	line(w, "possible", perSecond(limit), how)
	line(w, "gantry", perSecond(median(r.gantry)), spread(r.gantry, perSecond))
	all := shares(r.gantry, r.raw)
	share := median(all)
	line(w, "ratio", fmt.Sprintf("%.2f", share), against(share >= shareOfRaw, fmt.Sprintf("at least %.1f", shareOfRaw), fmt.Sprintf("%.2f", shareOfRaw-share))+
		"; "+spread(all, ratio))
	r.printAcknowledged(w)
	peak := slices.Max(r.peak)
	line(w, "peak memory", megabytes(peak), against(peak <= memoryLimit, "at most "+megabytes(memoryLimit), megabytes(peak-memoryLimit)))
	line(w, "CPU", fmt.Sprintf("%.2f s", median(r.cpu).Seconds()), "of the worker for a million records, its start and end included")
	if all := median(r.tree); all > 0 {
		line(w, "CPU, all", fmt.Sprintf("%.2f s", all.Seconds()), fmt.Sprintf("of worker, servers and bench for a million records; the raw stages together %.2f s; what servers take when idle counts in both",
			median(r.rawTree).Seconds()))
	}
	if r.orientation > 0 {
		ours := median(r.gantry)
		line(w, "orientation", perSecond(r.orientation), fmt.Sprintf("Kafka Connect's FileStream on a machine like CI's; gantry here has %.2f of it", ours/r.orientation))
	}
	fmt.Fprintln(w)
}

// printAcknowledged says the same with topics counted up to the last acknowledgement, which the broker gives early.
func (r *copyResult) printAcknowledged(w io.Writer) {
	for i, stage := range r.stages {
		if slices.Equal(r.raw[i], r.rawAcked[i]) {
			continue
		}
		all := shares(r.acked, r.rawAcked)
		line(w, "acknowledged", perSecond(median(r.acked)), fmt.Sprintf("gantry, where a send ends with its acknowledgement, before the messages can be pulled; raw %s %s: ratio %.2f; %s",
			stage, perSecond(median(r.rawAcked[i])), median(all), spread(all, ratio)))
	}
}

func ratio(v float64) string { return fmt.Sprintf("%.2f", v) }

func line(w io.Writer, name, value, note string) {
	fmt.Fprintf(w, "  %-14s %14s   %s\n", name, value, note)
}

// against says whether a target was met.
func against(met bool, target, by string) string {
	if met {
		return "target " + target + ": met"
	}
	return "target " + target + ": MISSED by " + by
}

func spread[T any](values []T, show func(T) string) string {
	if len(values) < 2 {
		return ""
	}
	var all []string
	for _, v := range values {
		all = append(all, show(v))
	}
	return "rounds: " + strings.Join(all, ", ")
}

func median[T ~int64 | ~float64](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func perSecond(rate float64) string {
	if rate >= 1e6 {
		return fmt.Sprintf("%.1f M/s", rate/1e6)
	}
	return fmt.Sprintf("%.1f k/s", rate/1e3)
}

func megabytes(bytes int64) string { return fmt.Sprintf("%d MB", (bytes+1<<20-1)>>20) }

func cpuPerMillion(cpu time.Duration, records int) string {
	return fmt.Sprintf("%.2f s per million records", perMillion(cpu, records).Seconds())
}
