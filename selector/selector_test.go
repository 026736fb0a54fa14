package selector_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/selector"
)

func TestASelectorPicksByLabels(t *testing.T) {
	t.Parallel()
	ops := map[string]string{"team": "ops", "env": "prod", "gantry.example/tier": "", "empty": ""}
	for _, tt := range []struct {
		text    string
		matches bool
	}{
		{"", true}, {"  ", true},
		{"team=ops", true}, {"team==ops", true}, {"team = ops", true}, {"team=data", false}, {"other=ops", false},
		{"team!=ops", false}, {"team!=data", true}, {"other!=x", true},
		{"team", true}, {"other", false}, {"!team", false}, {"! other", true},
		{"env in (prod,test)", true}, {"env in ( test )", false}, {"other in (a)", false},
		{"env notin (prod,test)", false}, {"env notin (dev)", true}, {"other notin (a)", true},
		{"gantry.example/tier", true}, {"empty=", true}, {"team=", false}, {"empty in (,x)", true},
		{"team=ops,env in (prod,test),!legacy", true}, {"team=ops,env in (prod,test),legacy", false},
	} {
		s, err := selector.Parse(tt.text)
		require.NoError(t, err, tt.text)
		require.Equal(t, tt.matches, s.Matches(ops), tt.text)
		again, err := selector.Parse(s.String())
		require.NoError(t, err, tt.text)
		require.Equal(t, s, again, "%s reads back from %s", tt.text, s)
	}
}

func TestABadSelectorSaysWhatItShouldLookLike(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"a,,b": "missing between commas", ",": "missing", "=b": `label key ""`, "a b": `label key "a b"`,
		"a in b": `label key "a in b"`, "a in (b": "key in (a, b)", "a of (b)": "key in (a, b)", "a in (b))": "key in (a, b)",
		"a=b c": `a = "b c"`, "!": `label key ""`, "a/b/c=d": "label key", "UP/b": "domain name",
		"a=" + strings.Repeat("x", 64): "at most 63",
	} {
		_, err := selector.Parse(text)
		require.ErrorContains(t, err, says, text)
		require.ErrorContains(t, err, "selector ", text)
	}
}

func TestLabelsHaveBounds(t *testing.T) {
	t.Parallel()
	require.NoError(t, selector.Check(nil))
	require.NoError(t, selector.Check(map[string]string{"a": "b", "x.example/a-b_c.d": ""}))
	many := map[string]string{}
	for i := range selector.MaxLabels + 1 {
		many["k"+strings.Repeat("x", i%60)+string(rune('a'+i%26))+string(rune('a'+i/26))] = ""
	}
	for says, labels := range map[string]map[string]string{
		"label key": {"": "x"}, "letter or digit": {"-a": "x"}, "a value has": {"a": "x y"}, "at most 64": many,
	} {
		require.ErrorContains(t, selector.Check(labels), says)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("team=ops,env in (prod,test),!legacy")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := selector.Parse(text)
		if err != nil {
			return
		}
		again, err := selector.Parse(s.String())
		require.NoError(t, err)
		require.Equal(t, s, again)
	})
}
