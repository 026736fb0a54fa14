package operate

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-connect/gantry/client"
)

// statePaint is the colour of a state wherever it is shown.
func statePaint(state client.State) paint {
	switch state {
	case client.Running:
		return green
	case client.Failed:
		return red
	case client.Paused, client.Stopped:
		return faint
	}
	return yellow
}

// age is how long ago something was, with one unit: 5s, 3m, 2h, 9d.
func age(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	return span(now.Sub(at))
}

func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 2*time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + "d"
}

// unknownOr is n, or a dash where the server does not know it.
func unknownOr(n int64) string {
	if n < 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func rate(perSecond float64) string {
	if perSecond < 0.05 {
		return "0"
	}
	if perSecond < 10 {
		return strconv.FormatFloat(perSecond, 'f', 1, 64)
	}
	return strconv.FormatFloat(math.Round(perSecond), 'f', 0, 64)
}

// pairs writes a map as a=b,c=d, sorted.
func pairs(m map[string]string) string {
	all := make([]string, 0, len(m))
	for k, v := range m {
		all = append(all, k+"="+v)
	}
	sort.Strings(all)
	return strings.Join(all, ",")
}

// values writes the values of a partition or an offset with their names, sorted.
func values(m map[string]any) string {
	all := make([]string, 0, len(m))
	for k, v := range m {
		all = append(all, fmt.Sprintf("%s=%v", k, v))
	}
	sort.Strings(all)
	return strings.Join(all, " ")
}

// plural is "1 connector", "2 connectors".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
