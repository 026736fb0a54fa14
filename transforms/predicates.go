package transforms

import (
	"regexp"

	"github.com/gantry-connect/gantry/connector"
)

// hasHeaderKeyConfig is the keys of HasHeaderKey.
type hasHeaderKeyConfig struct {
	Name string `config:"name" required:"true" importance:"medium" doc:"The header's name."`
}

// hasHeaderKey holds for records with at least one header of a name.
type hasHeaderKey struct{ name string }

func newHasHeaderKey(c *hasHeaderKeyConfig) (predicate, error) { return hasHeaderKey{c.Name}, nil }

func (p hasHeaderKey) holds(rec *connector.Record) bool {
	for i := range rec.Headers {
		if rec.Headers[i].Name == p.name {
			return true
		}
	}
	return false
}

// recordIsTombstoneConfig is the keys of RecordIsTombstone: none.
type recordIsTombstoneConfig struct{}

// recordIsTombstone holds for tombstones, and for records other than deletes and truncates whose value is null, which is
// how other programs write tombstones.
type recordIsTombstone struct{}

func newRecordIsTombstone(*recordIsTombstoneConfig) (predicate, error) {
	return recordIsTombstone{}, nil
}

func (recordIsTombstone) holds(rec *connector.Record) bool {
	switch rec.Op {
	case connector.Tombstone:
		return true
	case connector.Delete, connector.Truncate:
		return false
	}
	return isNull(rec.After)
}

// topicNameMatchesConfig is the keys of TopicNameMatches.
type topicNameMatchesConfig struct {
	Pattern string `config:"pattern" required:"true" importance:"medium" doc:"Regular expression that matches the whole of the topic's name."`
}

// topicNameMatches holds for records of topics that match.
type topicNameMatches struct {
	pattern *regexp.Regexp
	last    string
	matched bool // last
}

func newTopicNameMatches(c *topicNameMatchesConfig) (predicate, error) {
	pattern, err := wholeMatch(c.Pattern)
	if err != nil {
		return nil, &connector.ConfigError{Field: "pattern", Value: c.Pattern, Reason: err.Error()}
	}
	return &topicNameMatches{pattern: pattern, matched: pattern.MatchString("")}, nil
}

func (p *topicNameMatches) holds(rec *connector.Record) bool {
	if rec.Topic != p.last {
		p.last, p.matched = rec.Topic, p.pattern.MatchString(rec.Topic)
	}
	return p.matched
}
