package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unsafe"

	"github.com/gantry-connect/gantry/connector"
)

const valueBytes = int(unsafe.Sizeof(connector.Value{}))

// inferBytes is how much of a file is looked at, at most, to find its columns' types.
const inferBytes = 256 << 20

// column is one column of a CSV file.
type column struct {
	name  string
	typ   connector.Type // Invalid until it is known
	parse func([]byte) (connector.Value, bool)
}

// misfit is the error of a value that is not of the column's type.
func (c *column) misfit(raw []byte) error {
	shown := string(raw[:min(len(raw), 64)])
	if c.typ == connector.String {
		return fmt.Errorf("column %q: %q is not valid UTF-8; recode the file", c.name, shown)
	}
	return fmt.Errorf("column %q: %q is no %v; set csv.types=%s:string (or a type that fits), or name it in csv.null if it means null",
		c.name, shown, c.typ, c.name)
}

// parseTypes reads "a:int32,b:string"; "" and "infer" name none.
func parseTypes(text string) (map[string]connector.Type, error) {
	types := map[string]connector.Type{}
	if text == "" || text == "infer" {
		return types, nil
	}
	for _, pair := range strings.Split(text, ",") {
		i := strings.LastIndexByte(pair, ':')
		if i < 1 {
			return nil, fmt.Errorf("%q is not column:type", pair)
		}
		name := strings.TrimSpace(pair[:i])
		typ, err := connector.ParseType(strings.TrimSpace(pair[i+1:]))
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", name, err)
		}
		if parserOf(typ) == nil {
			return nil, fmt.Errorf("column %q: a CSV field cannot hold the type %v", name, typ)
		}
		if _, twice := types[name]; twice {
			return nil, fmt.Errorf("column %q is named twice", name)
		}
		types[name] = typ
	}
	return types, nil
}

// formatTypes is the inverse of parseTypes.
func formatTypes(columns []column) string {
	pairs := make([]string, len(columns))
	for i, c := range columns {
		pairs[i] = c.name + ":" + c.typ.String()
	}
	return strings.Join(pairs, ",")
}

// columnsOf gives each column the type that the config or, failing that, the position says; missing if there are
// columns of which neither says it.
func columnsOf(path string, names []string, config, stored map[string]connector.Type) (columns []column, missing bool, err error) {
	seen := map[string]bool{}
	columns = make([]column, len(names))
	for i, name := range names {
		if name = strings.TrimSpace(name); name == "" {
			name = fmt.Sprintf("column%d", i+1)
		}
		if seen[name] {
			return nil, false, connector.Permanent(fmt.Errorf("%s: two columns are called %q; name them all in csv.columns", path, name))
		}
		if strings.ContainsAny(name, ",") {
			return nil, false, connector.Permanent(fmt.Errorf("%s: the column name %q has a comma; name the columns in csv.columns", path, name))
		}
		seen[name] = true
		typ, ok := config[name]
		if !ok {
			typ = stored[name]
		}
		columns[i] = column{name: name, typ: typ, parse: parserOf(typ)}
		missing = missing || typ == connector.Invalid
	}
	for name := range config {
		if !seen[name] && len(names) > 0 {
			return nil, false, &connector.ConfigError{Field: "csv.types", Value: name, Reason: fmt.Sprintf("is no column of %s, which has %s", path, strings.Join(names, ", "))}
		}
	}
	return columns, missing, nil
}

// infer finds the types of the columns that have none from the rows that follow: the narrowest type that fits every
// value that is not null. Rows that cannot be split are left out; reading them will tell. An int32 is trusted only if
// the whole file was seen and will not grow.
func (u *unit) infer(ctx context.Context, split *splitter, columns []column) error {
	guess := make([]guess, len(columns))
	for i := range guess {
		guess[i].fits = anyType
	}
	probe := csvRows{nulls: u.cfg.nulls}
	for _, null := range probe.nulls {
		probe.longest = max(probe.longest, len(null))
	}
	whole, rows := false, int64(0)
	for u.feed.at < inferBytes && (u.cfg.InferRows == 0 || rows < u.cfg.InferRows) {
		n, err := split.split(u.feed.rest(), u.final)
		if n > 0 {
			if err == nil && len(split.fields) == len(columns) {
				rows++
				probe.look(split, u.feed.rest(), guess)
			}
			u.feed.take(n)
			continue
		}
		if len(u.feed.rest()) > u.cfg.MaxLine {
			break // reading on will tell of the row that is too long
		}
		if u.final {
			whole = true
			break
		}
		if err := u.sample(ctx, rows); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
	}
	if whole && u.compression != "none" {
		u.total = u.feed.at
	}
	for i := range columns {
		if c := &columns[i]; c.typ == connector.Invalid {
			c.typ = guess[i].typ(whole && !u.cfg.Follow)
			c.parse = parserOf(c.typ)
		}
	}
	return nil
}

// sample reads on. It returns io.EOF at the present end of a file that is followed, once it has rows.
func (u *unit) sample(ctx context.Context, rows int64) error {
	if rows == 0 || !u.follows() {
		return u.more(ctx)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return u.feed.more()
}

// look takes one row's values into account.
func (c *csvRows) look(split *splitter, data []byte, guesses []guess) {
	for i, f := range split.fields {
		raw := data[f.start:f.end]
		if g := &guesses[i]; g.fits != 0 && (f.quoted || len(raw) > c.longest || !c.isNull(raw)) {
			g.fits &= fitting(raw)
			g.seen = true
		}
	}
}

// guess is what a column's type may be, after the values seen so far.
type guess struct {
	fits typeSet
	seen bool
}

func (g guess) typ(trusted bool) connector.Type {
	if !g.seen {
		return connector.String
	}
	for _, t := range inOrder {
		if t == connector.Int32 && !trusted {
			continue
		}
		if g.fits&(1<<t) != 0 {
			return t
		}
	}
	return connector.String
}

// typeSet has a bit for each connector.Type.
type typeSet uint32

// inOrder is the types that are inferred, the narrower before the wider.
var inOrder = []connector.Type{connector.Bool, connector.Int32, connector.Int64, connector.Float64, connector.Decimal,
	connector.Date, connector.Time, connector.Timestamp, connector.TimestampTZ}

const (
	integers typeSet = 1<<connector.Int32 | 1<<connector.Int64
	numbers  typeSet = integers | 1<<connector.Float64 | 1<<connector.Decimal
	times    typeSet = 1<<connector.Date | 1<<connector.Time | 1<<connector.Timestamp | 1<<connector.TimestampTZ
	anyType  typeSet = numbers | times | 1<<connector.Bool
)

// baseName is the file's name up to its first dot.
func baseName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	return name
}
