package activities

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/pipeline"
	"github.com/gantry-connect/gantry/secrets"
	"github.com/gantry-connect/gantry/transforms"
)

// previewed is what a gallery shows of a record with the text "old" that goes through the transforms of a source.
func previewed(t *testing.T, config map[string]string, hidden ...string) *gallery {
	t.Helper()
	chain, err := transforms.New(config, connector.KindSource)
	require.NoError(t, err)
	g, err := (&Activities{}).newGallery(1)
	require.NoError(t, err)
	g.apply, g.scrub = chain.Steps, secrets.NewScrubber(hidden)
	g.check = func(rec *connector.Record) error { return pipeline.CheckTopic(rec.Topic) }
	rec := connector.Record{Topic: "t", After: connector.Datum{Schema: connector.StructOf("", connector.Field{Name: "a", Schema: connector.Of(connector.Int64)}),
		Value: connector.ListValue([]connector.Value{connector.IntValue(5)})}}
	g.add(nil, 0, &rec)
	require.Len(t, g.preview.Items, 1)
	return g
}

// TestAPreviewShowsThatATopicCannotBe, as the task would say; only the name behind all transforms counts.
func TestAPreviewShowsThatATopicCannotBe(t *testing.T) {
	t.Parallel()
	config := map[string]string{"transforms": "dot,end", "transforms.dot.type": "RegexRouter", "transforms.dot.regex": "t", "transforms.dot.replacement": "a.b",
		"transforms.end.type": "RegexRouter", "transforms.end.regex": `a\.(.*)`, "transforms.end.replacement": "$1"}
	steps := previewed(t, config).preview.Items[0].Steps
	require.True(t, steps[0].Kept)
	require.True(t, steps[1].Kept)
	require.Equal(t, "b", steps[1].Record.Topic)

	config["transforms.end.replacement"] = "$1.c"
	steps = previewed(t, config).preview.Items[0].Steps
	require.True(t, steps[0].Kept)
	require.False(t, steps[1].Kept)
	require.Contains(t, steps[1].Error, `"b.c" is no name of a topic`)
	require.Equal(t, "b.c", steps[1].Record.Topic)
}

func TestAPreviewsErrorsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	steps := previewed(t, map[string]string{"transforms": "m", "transforms.m.type": "MaskField", "transforms.m.fields": "a", "transforms.m.replacement": "tells-all"},
		"tells-all").preview.Items[0].Steps
	require.Contains(t, steps[0].Error, "does not fit type int64")
	require.NotContains(t, steps[0].Error, "tells-all")
}
