package transforms

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

// regexRouterConfig is the keys of RegexRouter.
type regexRouterConfig struct {
	Regex       string `config:"regex" required:"true" doc:"Regular expression that matches the whole of a topic's name. Other topics stay."`
	Replacement string `config:"replacement" required:"true" doc:"The new topic's name; $1 or ${name} in it stand for groups of the expression."`
}

// regexRouter renames topics.
type regexRouter struct {
	regex       *regexp.Regexp
	replacement []piece
	from, to    string // of the last record
}

// piece of a replacement is a group's content, or text.
type piece struct {
	group int // -1: text
	text  string
}

func newRegexRouter(c *regexRouterConfig, _ side, _ connector.Kind) (transform, error) {
	regex, err := wholeMatch(c.Regex)
	if err != nil {
		return nil, &connector.ConfigError{Field: "regex", Value: c.Regex, Reason: err.Error()}
	}
	pieces, err := parseReplacement(c.Replacement, regex)
	if err != nil {
		return nil, &connector.ConfigError{Field: "replacement", Value: c.Replacement, Reason: err.Error()}
	}
	return &regexRouter{regex: regex, replacement: pieces}, nil
}

// wholeMatch compiles an expression that has to match all of a text.
func wholeMatch(expression string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(expression); err != nil { // as given, so that the message shows no more than that
		return nil, fmt.Errorf("is no regular expression of Go's syntax, which has no look-around and no back references: %w", err)
	}
	return regexp.Compile(`\A(?:` + expression + `)\z`)
}

// parseReplacement reads a replacement as Java does: $ and digits as long as there is such a group, ${name}, and \ before a
// character that stands for itself.
func parseReplacement(text string, regex *regexp.Regexp) ([]piece, error) {
	var pieces []piece
	var plain strings.Builder
	flush := func() {
		if plain.Len() > 0 {
			pieces = append(pieces, piece{-1, plain.String()})
			plain.Reset()
		}
	}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
			plain.WriteByte(text[i])
		case text[i] == '\\':
			return nil, errors.New(`ends in \, which needs a character behind it`)
		case text[i] != '$':
			plain.WriteByte(text[i])
		default:
			n, length, err := groupAt(text[i+1:], regex)
			if err != nil {
				return nil, err
			}
			flush()
			pieces = append(pieces, piece{group: n})
			i += length
		}
	}
	flush()
	return pieces, nil
}

// groupAt reads what stands behind a $.
func groupAt(text string, regex *regexp.Regexp) (group, length int, err error) {
	if name, ok := strings.CutPrefix(text, "{"); ok {
		name, _, ok = strings.Cut(name, "}")
		if group = regex.SubexpIndex(name); !ok || group < 0 {
			return 0, 0, fmt.Errorf("refers to the group %q, which regex does not have", name)
		}
		return group, len(name) + 2, nil
	}
	for length < len(text) && text[length] >= '0' && text[length] <= '9' {
		n, err := strconv.Atoi(text[:length+1])
		if err != nil || length > 0 && n > regex.NumSubexp() {
			break
		}
		group = n
		length++
	}
	switch {
	case length == 0:
		return 0, 0, errors.New(`has a $ without the number of a group; \$ is a $`)
	case group > regex.NumSubexp():
		return 0, 0, fmt.Errorf("refers to group %d, and regex has %d", group, regex.NumSubexp())
	}
	return group, length, nil
}

func (r *regexRouter) apply(rec *connector.Record) (bool, error) {
	if rec.Topic != r.from || r.to == "" {
		r.from, r.to = rec.Topic, r.route(rec.Topic)
	}
	if r.to == "" {
		return false, fmt.Errorf("topic %q becomes an empty name", rec.Topic)
	}
	rec.Topic = r.to
	return true, nil
}

func (r *regexRouter) route(topic string) string {
	at := r.regex.FindStringSubmatchIndex(topic)
	if at == nil {
		return topic
	}
	var b strings.Builder
	for _, p := range r.replacement {
		if p.group < 0 {
			b.WriteString(p.text)
		} else if from, to := at[2*p.group], at[2*p.group+1]; from >= 0 {
			b.WriteString(topic[from:to])
		}
	}
	return b.String()
}

// timestampRouterConfig is the keys of TimestampRouter.
type timestampRouterConfig struct {
	Topic     string `config:"topic.format" default:"${topic}-${timestamp}" importance:"high" doc:"The new topic's name, in which ${topic} stands for the old one and ${timestamp} for the record's time."`
	Timestamp string `config:"timestamp.format" default:"yyyyMMdd" importance:"high" doc:"The form of the time, in UTC, in the letters of Java's SimpleDateFormat."`
}

// timestampRouter sends records to topics by their time.
type timestampRouter struct {
	topic    string
	format   *dateFormat
	from, to string // of the last record
	stamp    []byte
}

func newTimestampRouter(c *timestampRouterConfig, _ side, _ connector.Kind) (transform, error) {
	f, err := parseDateFormat(c.Timestamp)
	if err != nil {
		return nil, &connector.ConfigError{Field: "timestamp.format", Value: c.Timestamp, Reason: err.Error()}
	}
	if c.Topic == "" {
		return nil, &connector.ConfigError{Field: "topic.format", Reason: "must not be empty"}
	}
	return &timestampRouter{topic: c.Topic, format: f}, nil
}

func (r *timestampRouter) apply(rec *connector.Record) (bool, error) {
	if rec.Time.IsZero() {
		return false, errNoTime
	}
	var buffer [64]byte
	stamp := r.format.append(buffer[:0], rec.Time)
	if rec.Topic != r.from || string(stamp) != string(r.stamp) || r.to == "" {
		r.from, r.stamp = rec.Topic, append(r.stamp[:0], stamp...)
		r.to = strings.NewReplacer("${topic}", rec.Topic, "${timestamp}", string(stamp)).Replace(r.topic)
	}
	rec.Topic = r.to
	return true, nil
}
