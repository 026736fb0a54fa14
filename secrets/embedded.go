package secrets

import (
	"regexp"
	"slices"
	"strings"
)

// Span is a part of a value, in bytes.
type Span struct{ Start, End int }

var (
	// userinfo is scheme://user:password@ in a URL. The password ends at the last @ before a blank or a comma: whoever
	// forgot to escape one has still written a password.
	userinfo = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.:-]*://[^:/?#\s,@]*:([^\s,]*)@`)
	// port is what looks like a password and is none: host:port/path@…
	port = regexp.MustCompile(`^[0-9]*[/?#]`)
	// connection is what only a value has that says how to connect: a URL, libpq's key-value pairs, a JAAS config.
	connection = regexp.MustCompile(`(?i)://|(?:^|\s)(?:host|hostaddr|dbname|user|service)\s*=|LoginModule`)
	// parameter is password=… in key-value pairs, in a URL's query or in JAAS configs, quoted or not.
	parameter = regexp.MustCompile(`(?i)(?:^|[\s&?;,])(?:[a-z0-9_.-]*(?:password|passwd|passphrase|secret|api[_.-]?key|accesskey|token)|pwd)\s*=\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s&;,'"]+)`)
	// secretName is a key whose value is a secret though nothing says so.
	secretName = regexp.MustCompile(`(?i)(?:^|[._-])(?:password|passwd|passphrase|secret|token|credentials|api[._-]?key|secret[._-]?key|private[._-]?key|user[._-]info)$`)
)

// NamesSecret reports whether a config key reads as that of a secret, for keys that have no definition.
func NamesSecret(key string) bool { return secretName.MatchString(key) }

// Embedded finds passwords in the clear within a value that is no secret as a whole: in a URL's userinfo or query, and in
// key=value pairs. Those that are references are left out.
func Embedded(value string) []Span {
	return slices.DeleteFunc(embedded(value), func(s Span) bool {
		text := value[s.Start:s.End]
		return text == Mask || IsReference(text)
	})
}

// embedded finds passwords, references among them too; in order, without overlaps.
func embedded(value string) []Span {
	if !strings.ContainsAny(value, "@=") {
		return nil
	}
	var spans []Span
	for _, m := range userinfo.FindAllStringSubmatchIndex(value, -1) {
		if password := value[m[2]:m[3]]; password != "" && !port.MatchString(password) {
			spans = append(spans, Span{m[2], m[3]})
		}
	}
	if !connection.MatchString(value) {
		return spans
	}
	for _, m := range parameter.FindAllStringSubmatchIndex(value, -1) {
		s := Span{m[2], m[3]}
		if q := value[s.Start]; q == '\'' || q == '"' {
			s.Start, s.End = s.Start+1, s.End-1
		}
		inside := func(o Span) bool { return s.Start < o.End && o.Start < s.End }
		if s.Start < s.End && !slices.ContainsFunc(spans, inside) {
			spans = append(spans, s)
		}
	}
	slices.SortFunc(spans, func(a, b Span) int { return a.Start - b.Start })
	return spans
}

// replaceSpans puts with(text) in the place of each span.
func replaceSpans(value string, spans []Span, with func(text string) (string, error)) (string, error) {
	var b strings.Builder
	last := 0
	for _, s := range spans {
		text, err := with(value[s.Start:s.End])
		if err != nil {
			return "", err
		}
		b.WriteString(value[last:s.Start])
		b.WriteString(text)
		last = s.End
	}
	b.WriteString(value[last:])
	return b.String(), nil
}
