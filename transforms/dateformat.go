package transforms

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// dateFormat is a pattern in the letters of Java's SimpleDateFormat, in UTC unless the text has a zone. It differs where
// SimpleDateFormat guesses: numbers out of range and text behind the date are errors, S counts digits after the second's
// point, and a year of two digits lies between 1970 and 2069.
type dateFormat struct{ tokens []token }

// token is a run of one letter, or text that stands for itself.
type token struct {
	letter byte // 0: text
	count  int
	text   string
	packed bool // the next token is a number too, so this one has exactly count digits
}

const dateLetters = "GyuMLdDEaHkKhmsSzZX"

func parseDateFormat(pattern string) (*dateFormat, error) {
	f := &dateFormat{}
	for i := 0; i < len(pattern); {
		c := pattern[i]
		switch {
		case c == '\'':
			text, n, err := quotedText(pattern[i:])
			if err != nil {
				return nil, err
			}
			f.literal(text)
			i += n
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			n := 1
			for i+n < len(pattern) && pattern[i+n] == c {
				n++
			}
			if strings.IndexByte(dateLetters, c) < 0 {
				return nil, fmt.Errorf("has the letter %c, which is none of %s; text stands between single quotes", c, dateLetters)
			}
			if c == 'X' && n > 3 {
				return nil, errors.New("has more than three X")
			}
			f.tokens = append(f.tokens, token{letter: c, count: n})
			i += n
		default:
			f.literal(pattern[i : i+1])
			i++
		}
	}
	for i := range f.tokens {
		f.tokens[i].packed = i+1 < len(f.tokens) && f.tokens[i].isNumber() && f.tokens[i+1].isNumber()
	}
	if len(f.tokens) == 0 {
		return nil, errors.New("is no date format")
	}
	return f, nil
}

// quotedText is the text in quotes that pattern begins with, and how long it is there; two quotes are one.
func quotedText(pattern string) (text string, n int, err error) {
	if strings.HasPrefix(pattern, "''") {
		return "'", 2, nil
	}
	var b strings.Builder
	for i := 1; i < len(pattern); i++ {
		switch {
		case pattern[i] != '\'':
			b.WriteByte(pattern[i])
		case i+1 < len(pattern) && pattern[i+1] == '\'':
			b.WriteByte('\'')
			i++
		default:
			return b.String(), i + 1, nil
		}
	}
	return "", 0, errors.New("has a single quote without its partner")
}

func (f *dateFormat) literal(text string) {
	if n := len(f.tokens); n > 0 && f.tokens[n-1].letter == 0 {
		f.tokens[n-1].text += text
		return
	}
	f.tokens = append(f.tokens, token{text: text})
}

func (t *token) isNumber() bool {
	return strings.IndexByte("yudDHkKhmsS", t.letter) >= 0 && t.letter != 0 || (t.letter == 'M' || t.letter == 'L') && t.count < 3
}

// append writes a moment.
func (f *dateFormat) append(dst []byte, t time.Time) []byte {
	t = t.UTC()
	for i := range f.tokens {
		tk := &f.tokens[i]
		switch {
		case tk.letter == 0:
			dst = append(dst, tk.text...)
		case tk.letter == 'S':
			dst = tk.appendFraction(dst, t.Nanosecond())
		case tk.isNumber():
			dst = appendPadded(dst, tk.number(t), tk.count)
		default:
			dst = append(dst, tk.word(t)...)
		}
	}
	return dst
}

func appendPadded(dst []byte, n, width int) []byte {
	if n < 0 {
		dst, n = append(dst, '-'), -n
	}
	var digits [20]byte
	text := strconv.AppendInt(digits[:0], int64(n), 10)
	for range width - len(text) {
		dst = append(dst, '0')
	}
	return append(dst, text...)
}

func (t *token) appendFraction(dst []byte, nanos int) []byte {
	var digits [9]byte
	text := appendPadded(digits[:0], nanos, 9)
	for i := range t.count {
		if i < len(text) {
			dst = append(dst, text[i])
		} else {
			dst = append(dst, '0')
		}
	}
	return dst
}

func (t *token) number(at time.Time) int {
	switch t.letter {
	case 'y':
		if t.count == 2 {
			return at.Year() % 100
		}
		return at.Year()
	case 'u':
		return (int(at.Weekday())+6)%7 + 1 // Monday is 1
	case 'M', 'L':
		return int(at.Month())
	case 'd':
		return at.Day()
	case 'D':
		return at.YearDay()
	case 'H':
		return at.Hour()
	case 'k':
		return (at.Hour()+23)%24 + 1
	case 'K':
		return at.Hour() % 12
	case 'h':
		return (at.Hour()+11)%12 + 1
	case 'm':
		return at.Minute()
	}
	return at.Second()
}

func (t *token) word(at time.Time) string {
	switch t.letter {
	case 'M', 'L':
		return shortened(at.Month().String(), t.count)
	case 'E':
		return shortened(at.Weekday().String(), t.count)
	case 'a':
		if at.Hour() < 12 {
			return "AM"
		}
		return "PM"
	case 'G':
		if at.Year() < 1 {
			return "BC"
		}
		return "AD"
	case 'z':
		if t.count > 3 {
			return utcName
		}
		return "UTC"
	case 'Z':
		return "+0000"
	}
	return "Z"
}

const utcName = "Coordinated Universal Time"

func shortened(name string, count int) string {
	if count < 4 {
		return name[:3]
	}
	return name
}

// dateParts is what a text says of a moment.
type dateParts struct {
	year, month, day, yearDay, hour, minute, second, nanos, offset int
	half                                                           int // -1 unknown, 0 AM, 1 PM
}

// parse reads a moment. What the pattern does not have is as in 1970-01-01T00:00:00Z.
func (f *dateFormat) parse(text string) (time.Time, error) {
	p := dateParts{year: 1970, month: 1, day: 1, half: -1}
	rest := text
	for i := range f.tokens {
		var err error
		if rest, err = p.read(&f.tokens[i], rest); err != nil {
			return time.Time{}, fmt.Errorf("read %.60q as a date: %w", text, err)
		}
	}
	if rest != "" {
		return time.Time{}, fmt.Errorf("read %.60q as a date: %.40q is left behind what the format has", text, rest)
	}
	t, err := p.time()
	if err != nil {
		return time.Time{}, fmt.Errorf("read %.60q as a date: %w", text, err)
	}
	return t, nil
}

func (p *dateParts) read(t *token, text string) (rest string, err error) {
	switch {
	case t.letter == 0:
		rest, ok := strings.CutPrefix(text, t.text)
		if !ok {
			return "", fmt.Errorf("there is %.20q where %q should be", text, t.text)
		}
		return rest, nil
	case t.isNumber():
		n := digitsIn(text, t)
		if n == 0 {
			return "", fmt.Errorf("there is %.20q where a number should be", text)
		}
		return text[n:], p.set(t, text[:n])
	case t.letter == 'z' || t.letter == 'Z' || t.letter == 'X':
		p.offset, rest, err = readZone(text)
		return rest, err
	}
	return p.readWord(t, text)
}

// digitsIn is how many digits of text are t's.
func digitsIn(text string, t *token) int {
	most := 9
	if t.packed {
		most = t.count
	}
	n := 0
	for n < len(text) && n < most && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	if t.packed && n < most {
		return 0
	}
	return n
}

func (p *dateParts) set(t *token, digits string) error {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return err
	}
	low, high, into := 0, 59, &p.second
	switch t.letter {
	case 'y':
		low, high, into = 0, 999_999, &p.year
		if t.count == 2 && len(digits) == 2 {
			n += 1900
			if n < 1970 {
				n += 100
			}
		}
	case 'M', 'L':
		low, high, into = 1, 12, &p.month
	case 'd':
		low, high, into = 1, 31, &p.day
	case 'u':
		low, high, into = 1, 7, new(int) // says nothing that the date does not
	case 'D':
		low, high, into = 1, 366, &p.yearDay
	case 'H', 'k':
		low, high, into = 0, 24, &p.hour
	case 'K', 'h':
		low, high, into = 0, 12, &p.hour
	case 'm':
		into = &p.minute
	case 'S':
		p.nanos, err = strconv.Atoi((digits + "000000000")[:9])
		return err
	}
	if n < low || n > high {
		return fmt.Errorf("%s is out of range for %c", digits, t.letter)
	}
	*into = n
	if t.letter == 'H' && n == 24 || t.letter == 'k' && n == 0 {
		return fmt.Errorf("%s is out of range for %c", digits, t.letter)
	}
	if t.letter == 'k' && n == 24 || t.letter == 'h' && n == 12 {
		*into = 0
	}
	return nil
}

func (p *dateParts) readWord(t *token, text string) (rest string, err error) {
	words := []string{"AM", "PM"}
	switch t.letter {
	case 'G':
		words = []string{"AD"}
	case 'M', 'L':
		words = words[:0]
		for m := time.January; m <= time.December; m++ {
			words = append(words, m.String())
		}
	case 'E':
		words = words[:0]
		for d := time.Sunday; d <= time.Saturday; d++ {
			words = append(words, d.String())
		}
	}
	for i, w := range words {
		for _, form := range []string{w, w[:min(3, len(w))]} {
			if len(text) < len(form) || !strings.EqualFold(text[:len(form)], form) {
				continue
			}
			switch t.letter {
			case 'a':
				p.half = i
			case 'M', 'L':
				p.month = i + 1
			}
			return text[len(form):], nil
		}
	}
	return "", fmt.Errorf("there is %.20q where %s or the like should be", text, words[0])
}

// readZone reads Z, UTC, GMT or an offset such as +02:00, +0200 or +02.
func readZone(text string) (offset int, rest string, err error) {
	for _, name := range []string{utcName, "UTC", "GMT", "Z"} {
		if rest, ok := strings.CutPrefix(text, name); ok {
			return 0, rest, nil
		}
	}
	for _, layout := range []string{"-07:00", "-0700", "-07"} {
		if len(text) < len(layout) {
			continue
		}
		if t, err := time.Parse(layout, text[:len(layout)]); err == nil {
			_, offset = t.Zone()
			return offset, text[len(layout):], nil
		}
	}
	return 0, "", fmt.Errorf("there is %.20q where a zone such as Z or +02:00 should be", text)
}

func (p *dateParts) time() (time.Time, error) {
	if p.half == 1 {
		p.hour += 12
	}
	if p.hour > 23 {
		return time.Time{}, errors.New("the hour is out of range")
	}
	month, day := time.Month(p.month), p.day
	if p.yearDay > 0 {
		month, day = time.January, p.yearDay
	}
	t := time.Date(p.year, month, day, p.hour, p.minute, p.second, p.nanos, time.UTC)
	if p.yearDay == 0 && t.Day() != day || p.yearDay > 0 && t.Year() != p.year {
		return time.Time{}, errors.New("there is no such day")
	}
	return t.Add(-time.Duration(p.offset) * time.Second), nil
}
