package operate

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/client"
)

func TestEveryFormOfFileGivesTheSameConnector(t *testing.T) {
	t.Parallel()
	want := map[string]string{"connector.class": "FileSource", "tasks.max": "2", "flag": "true", "big": "9007199254740993", "octal": "0755", "multi": "a\nb"}
	for name, text := range map[string]string{
		"YAML": "name: a\nlabels: {team: ops}\ninitial_state: paused\nconfig:\n  connector.class: FileSource\n  tasks.max: 2\n  flag: true\n" +
			"  big: 9007199254740993\n  octal: 0755\n  multi: |-\n    a\n    b\n",
		"Kafka Connect's JSON": `{"name": "a", "config": {"connector.class": "FileSource", "tasks.max": 2, "flag": true, "big": 9007199254740993, "octal": "0755", "multi": "a\nb"}}`,
		"JSON with tabs":       "{\n\t\"name\": \"a\",\n\t\"config\": {\n\t\t\"name\": \"a\", \"connector.class\": \"FileSource\", \"tasks.max\": \"2\", \"flag\": \"true\", \"big\": \"9007199254740993\", \"octal\": \"0755\", \"multi\": \"a\\nb\"}}",
		"a flat config":        `{"name": "a", "connector.class": "FileSource", "tasks.max": "2", "flag": "true", "big": 9007199254740993, "octal": "0755", "multi": "a\nb"}`,
		"names with blanks":    "name: ' a'\nconfig: {name: 'a ', connector.class: FileSource, tasks.max: 2, flag: true, big: 9007199254740993, octal: 0755, multi: \"a\\nb\"}\n",
		"flow YAML":            `{name: a, config: {connector.class: FileSource, tasks.max: 2, flag: true, big: 9007199254740993, octal: 0755, multi: "a\nb"}}`,
		"what get writes":      "items:\n- name: a\n  kind: source\n  state: RUNNING\n  tasks: {total: 1}\n  config: {connector.class: FileSource, tasks.max: '2', flag: 'true', big: '9007199254740993', octal: '0755', multi: \"a\\nb\"}\n",
		"YAML with an anchor":  "name: a\nconfig:\n  connector.class: FileSource\n  <<: &base {tasks.max: 2, flag: true, connector.class: Other}\n  big: 9007199254740993\n  octal: 0755\n  multi: \"a\\nb\"\n",
		"a byte order mark":    "\xef\xbb\xbfname: a\nconfig: {connector.class: FileSource, tasks.max: 2, flag: true, big: 9007199254740993, octal: 0755, multi: \"a\\nb\"}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := parseManifests([]byte(text), "x")
			require.NoError(t, err)
			require.Len(t, all, 1)
			require.Equal(t, "a", all[0].Name)
			require.Equal(t, want, all[0].Config)
		})
	}
}

// What JSON can say and YAML's parser does not take: escapes, control characters, keys of more than 1024 letters.
func TestJSONIsReadWithEveryEscape(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", 2000)
	all, err := parseManifests([]byte(`{"name":"a","config":{"pair":"\ud83d\ude00","others":"\u0000\u2028\u007f\/","raw":"`+"\x7f\u0085"+`","`+long+`":"v","<<":"x"}}`), "x")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"pair": "\U0001f600", "others": "\x00\u2028\x7f/", "raw": "\x7f\u0085", long: "v", "<<": "x"}, all[0].Config)
}

func TestWhatIsWrittenAsYAMLIsReadAsTheSame(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "\x7f", "\u0085x", "a\u2028", "\ufeffx", "\x00", "\x1b[0m", "l1\n\tl2 \nl3", " lead\nx", "\n", "a\n\n", "tab\tx", "a\r\nb", "12:30:45", "1_000",
		"0o17", "=", "<<", "~", "null", "2020-01-01", "-", "? a", "# c", "a: b", "a #c", "'", "\"", "yes", "0x1f", ".5", "1e3", "+1", ".inf", "NaN", "\U0001f600", strings.Repeat("w ", 100)} {
		config := map[string]string{"k": value, strings.Repeat("k", 1100): "v"}
		text, err := toYAML(map[string]any{"name": "a", "config": config})
		require.NoError(t, err, "%q", value)
		all, err := parseManifests(text, "x")
		require.NoError(t, err, "%q", value)
		require.Equal(t, config, all[0].Config, "%q", value)
	}
}

func TestAFileMayBeLongButNotReferToItselfForever(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("items:\n")
	for i := range 3000 {
		fmt.Fprintf(&b, "- name: c%d\n  config:\n", i)
		for j := range 20 {
			fmt.Fprintf(&b, "    k%d: v\n", j)
		}
	}
	all, err := parseManifests([]byte(b.String()), "x")
	require.NoError(t, err)
	require.Len(t, all, 3000)
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 8 {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	for _, text := range []string{bomb, "a: &a [*a]\n"} {
		_, err = parseManifests([]byte(text), "x")
		require.ErrorContains(t, err, "refers to its own parts")
	}
}

func TestOneFileMayDeclareSeveral(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"documents": "# first\n---\nname: a\nconfig: {k: v}\n---\n---\nname: b\nconfig: {k: v}\n...\n",
		"a list":    "- {name: a, config: {k: v}}\n- name: b\n  config: {k: v}\n",
		"JSON":      `{"name":"a","config":{"k":"v"}} {"name":"b","config":{"k":"v"}}`,
		"JSON list": `[{"name":"a","config":{"k":"v"}},{"name":"b","k":"v"}]`,
	} {
		all, err := parseManifests([]byte(text), "x")
		require.NoError(t, err, name)
		require.Len(t, all, 2, name)
		require.Equal(t, "b", all[1].Name, name)
	}
}

func TestAMistakeInAFileIsNamed(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"name: a\nconfig:\n  topics: [a, b]\n":            "f.yaml: config: line 3: topics: must be text, a number or a bool",
		"name: a\nconfig:\n  topic:\n":                    "topic: has no value",
		"name: a\nlables: {x: y}\nconfig: {k: v}\n":       "line 2: lables: is unknown: a connector has name, config, labels and initial_state",
		"config: {k: v}\n":                                "the connector has no name",
		"name: a\nconfig: {}\n":                           "the connector has no config",
		"name: a\nconfig: {name: b, k: v}\n":              `the name is "a" and in the config "b"`,
		"name: a\nconfig:\n  k: v\n  k: w\n":              "line 4: k is given twice",
		"name: a\ninitial_state: ready\nconfig: {k: v}\n": `initial_state = "ready": must be RUNNING, PAUSED or STOPPED`,
		"name: a\nlabels: {team: a b}\nconfig: {k: v}\n":  "a value has at most 63 letters",
		"just text\n": "must be a map of names to values",
		"name: a\nconfig: {k: v}\n---\nname: b\nconfig: 3": "f.yaml, document 2: config: line 5: must be a map",
		"name: [\n":                  "f.yaml: line 1: did not find",
		"name: a\nconfig:\n\tk: v\n": "f.yaml: line 3: found character that cannot start any token; indent with blanks, not tabs",
	} {
		_, err := parseManifests([]byte(text), "f.yaml")
		require.ErrorContains(t, err, says, text)
	}
	_, err := parseManifests([]byte("{\n \"name\": \"a\",\n \"config\": {,}\n}"), "f.json")
	require.ErrorContains(t, err, "f.json: line 3: invalid character ','")
	_, err = parseManifests([]byte("{\n \"name\": \"a\",\n"), "f.json")
	require.ErrorContains(t, err, "f.json: line 2: the text ends within a value")
	_, err = parseManifests([]byte("{\"name\": \"a\", \"config\": {\n \"k\": \"v\",\n \"k\": \"w\"}}"), "f.json")
	require.ErrorContains(t, err, "f.json: config: line 3: k is given twice")
	_, err = parseManifests([]byte(strings.Repeat("[", 100_000)), "f.json")
	require.ErrorContains(t, err, "nested too deep")
	_, err = parseManifests([]byte(`{"name":"a","config":{"k":null}}`), "f.json")
	require.ErrorContains(t, err, "k: has no value")
}

func TestFoldersAreReadInOrderAndNamesOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("2.yaml", "name: b\nconfig: {k: v}\n")
	write("1.json", `{"name":"a","config":{"k":"v"}}`)
	write("README.md", "no connector")
	write("deep/3.yml", "name: c\nconfig: {k: v}\n")
	names := func(recursive bool, paths ...string) string {
		all, err := readManifests(strings.NewReader("name: z\nconfig: {k: v}"), paths, recursive)
		require.NoError(t, err)
		var names []string
		for _, m := range all {
			names = append(names, m.Name)
		}
		return strings.Join(names, " ")
	}
	require.Equal(t, "a b", names(false, dir))
	require.Equal(t, "a b c", names(true, dir))
	require.Equal(t, "z b", names(false, "-", filepath.Join(dir, "2.yaml")))
	_, err := readManifests(nil, []string{dir, filepath.Join(dir, "2.yaml")}, false)
	require.ErrorContains(t, err, "connector b is declared twice")
	require.Equal(t, ExitInvalid, ExitCode(err))
	_, err = readManifests(nil, []string{t.TempDir()}, false)
	require.ErrorContains(t, err, "no connector is declared")
	_, err = readManifests(nil, []string{filepath.Join(dir, "none")}, false)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestADiffShowsWhatDiffersAmongWhatDoesNot(t *testing.T) {
	t.Parallel()
	now := kept{manifest{Name: "a", Config: map[string]string{"batch": "100", "file": "/in", "old": "x", "password": "********", "url": "db://u:********@one/x"}, Labels: map[string]string{"team": "ops"}}, 3}
	next := manifest{Name: "a", source: "a.yaml (a)", Config: map[string]string{"batch": "200", "file": "/in", "new": "y: z", "password": "s3cret", "url": "db://u:s3cret@two/x", "other.token": "s3cret"}}
	p := diffManifest(now, next, nil)
	var b strings.Builder
	require.True(t, p.write(&output{w: &b}))
	require.Equal(t, strings.Join([]string{"--- a, revision 3", "+++ a.yaml (a)", " config:", `-  batch: "100"`, `+  batch: "200"`, "   file: /in",
		"+  new: 'y: z'", "-  old: x", "+  other.token: '********'", "   password: '********'", "-  url: db://u:********@one/x", "+  url: db://u:********@two/x", ""}, "\n"), b.String())
	require.NotContains(t, b.String(), "s3cret")

	next.Config = map[string]string{"batch": "100", "file": "/in", "old": "x", "password": "s3cret", "url": "db://u:s3cret@one/x"}
	p = diffManifest(now, next, nil)
	require.False(t, p.write(&output{w: &b}), "labels are left alone where a file has none, a hidden secret that is the same is no difference")
	p = diffManifest(now, next, []string{"password"})
	b.Reset()
	require.True(t, p.write(&output{w: &b}))
	require.Contains(t, b.String(), "-  password: '********'\n+  password: '********' # another one\n")
	next.labelled = true
	p = diffManifest(now, next, nil)
	require.True(t, p.write(&output{w: &b}))
}

func FuzzManifestsNeverPanic(f *testing.F) {
	f.Add("name: a\nconfig: {k: v}\n")
	f.Add(`{"name":"a","config":{"k":1}}`)
	f.Add("a: &x [*x]\n")
	f.Add("<<: [{a: b}, 3]\nname: x\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseManifests([]byte(text), "fuzz")
		for _, m := range all {
			require.NoError(t, err)
			require.NotEmpty(t, m.Name)
			require.NotEmpty(t, m.Config)
			require.NotContains(t, m.Config, "name")
		}
	})
}

// What get -o yaml writes can be applied again, whatever fields a server's answers get.
func TestEveryFieldOfAnOverviewMayStandInAFile(t *testing.T) {
	t.Parallel()
	for f := range reflect.TypeFor[client.Overview]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "name" && name != "labels" {
			require.Contains(t, answered, name)
		}
	}
}
