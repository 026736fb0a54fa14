package postgres

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

var upsertByID = []string{"insert.mode", "upsert", "pk.mode", "record_value", "pk.fields", "id", "delete.enabled", "true"}

func keyed(r connector.Record, id int) connector.Record {
	key := connector.StructOf("key", connector.Field{Name: "id", Schema: connector.Of(connector.Int32)})
	r.Key = connector.Datum{Schema: key, Value: connector.ListValue([]connector.Value{connector.IntValue(int64(id))})}
	return r
}

func with(op connector.Op, r connector.Record) connector.Record {
	r.Op = op
	return r
}

func changed(before, after connector.Record) connector.Record {
	after.Op, after.Before = connector.Update, before.After
	return after
}

// short is a person without name: a row of another shape in the same table.
func short(id int) connector.Record {
	schema := connector.StructOf("public.person", person.Fields[0])
	return connector.Record{After: connector.Datum{Schema: schema, Value: connector.ListValue([]connector.Value{connector.IntValue(int64(id))})}}
}

func TestBatchLeavesWhatItsRecordsLeaveOneByOne(t *testing.T) {
	t.Parallel()
	truncate := connector.Record{Op: connector.Truncate}
	byKey := []string{"insert.mode", "upsert", "pk.mode", "record_key", "delete.enabled", "true"}
	update := []string{"insert.mode", "update", "pk.mode", "record_value", "pk.fields", "id", "delete.enabled", "true"}
	tombstone := keyed(connector.Record{Op: connector.Tombstone}, 1)
	for _, tt := range []struct {
		name    string
		config  []string
		records []connector.Record
		want    string
	}{
		{"insert appends", nil, []connector.Record{row(1, "a"), row(1, "a"), with(connector.Read, row(2, "b"))}, "(1,a)\n(1,a)\n(2,b)\n(9,old)"},
		{"insert ignores deletes by default", nil, []connector.Record{row(1, "a"), gone(9, "old"), truncate}, "(1,a)\n(9,old)"},
		{"insert and delete in order", []string{"pk.mode", "record_value", "pk.fields", "id", "delete.enabled", "true"},
			[]connector.Record{row(1, "a"), gone(1, "a"), gone(9, "old"), row(1, "b"), row(9, "new")}, "(1,b)\n(9,new)"},
		{"the last upsert counts", upsertByID, []connector.Record{row(1, "a"), row(9, "x"), with(connector.Update, row(1, "b")), row(9, "y")}, "(1,b)\n(9,y)"},
		{"upsert, delete, upsert", upsertByID, []connector.Record{row(9, "a"), gone(9, "a"), row(9, "b"), row(1, "a"), gone(1, "a")}, "(9,b)"},
		{"delete, then a row without the other columns", upsertByID, []connector.Record{gone(9, "old"), short(9)}, "(9,)"},
		{"a row without the other columns keeps them", upsertByID, []connector.Record{short(9)}, "(9,old)"},
		{"shapes alternate", upsertByID, []connector.Record{row(1, "a"), short(1), row(9, "b"), short(9), row(1, "c"), short(1)}, "(1,c)\n(9,b)"},
		{"truncate is a barrier", upsertByID, []connector.Record{row(1, "a"), truncate, row(2, "b"), gone(2, "b"), row(3, "c")}, "(3,c)"},
		{"truncate last", upsertByID, []connector.Record{row(1, "a"), truncate}, ""},
		{"a changed primary key moves the row", upsertByID, []connector.Record{changed(row(9, "old"), row(10, "new"))}, "(10,new)"},
		{"an unchanged primary key", upsertByID, []connector.Record{changed(row(9, "old"), row(9, "new"))}, "(9,new)"},
		{"key of the record", byKey, []connector.Record{keyed(row(5, "a"), 1), keyed(row(6, "b"), 9)}, "(1,a)\n(9,b)"},
		{"delete by key", byKey, []connector.Record{keyed(row(1, "a"), 1), keyed(connector.Record{Op: connector.Delete}, 9)}, "(1,a)"},
		{"tombstone", byKey, []connector.Record{keyed(row(1, "a"), 1), tombstone}, "(9,old)"},
		{"update changes what is there", update, []connector.Record{row(1, "a"), row(9, "x"), row(9, "y")}, "(9,y)"},
		{"update of a row that is gone", update, []connector.Record{gone(9, "old"), row(9, "y")}, ""},
		{"update with nothing but the key", update, []connector.Record{short(9)}, "(9,old)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newTarget(t)
			for _, one := range []bool{false, true} { // the whole batch, then its records one by one
				g.exec("drop table if exists t")
				g.exec("create table t (id integer not null, name text)")
				if tt.config != nil && tt.config[0] == "insert.mode" {
					g.exec("alter table t add primary key (id)")
				}
				g.exec("insert into t values (9, 'old')")
				s := g.open(task(1), tt.config...)
				if one {
					for i := range tt.records {
						write(t, s, batch(i, tt.records[i]))
					}
				} else {
					write(t, s, batch(1, tt.records...))
				}
				require.NoError(t, s.Close())
				require.Equal(t, tt.want, g.text("select * from t order by id, name"))
			}
		})
	}
}

func TestKeysThatAreEqualToPostgresOnly(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	schema := connector.StructOf("", connector.Field{Name: "id", Schema: connector.Of(connector.Decimal)}, connector.Field{Name: "v", Schema: connector.Of(connector.Int32)})
	one := func(id string, v int64) connector.Record {
		return datum(schema, connector.ListValue([]connector.Value{connector.TextValue(id), connector.IntValue(v)}))
	}
	s := g.open(task(1), upsertByID...)
	write(t, s, batch(1, one("1.0", 1), one("1.00", 2), one("2", 3)))
	require.Equal(t, "(1.0,2)\n(2,3)", g.text("select * from t order by id"))
}

func TestRecordsGoToTheTableTheirTopicAndSchemaName(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	g.exec(`create schema "Raw"`)
	s := g.open(task(1), "table", `Raw."${topic}.x"`)
	a, b := row(1, "a"), row(2, "b")
	a.Topic, b.Topic = "Orders", `order"s`
	line := datum(connector.Of(connector.String), connector.TextValue("a line"))
	line.Topic = "lines"
	write(t, s, batch(1, a, line, a))
	require.Equal(t, "(1,a)\n(1,a)", g.text(`select * from "Raw"."Orders.x"`))
	require.Equal(t, `("a line")`, g.text(`select value from "Raw"."lines.x"`))
	var bad *connector.RecordError
	require.ErrorAs(t, s.Write(t.Context(), batch(2, a, b)), &bad)
	require.Equal(t, 1, bad.Index)

	bySchema := g.open(task(2), "table", "${schema}")
	write(t, bySchema, batch(2, a))
	require.Equal(t, "(1,a)", g.text("select * from public.person"))
}

func TestTableEvolvesWithTheSchema(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	g.exec("create table t (id smallint primary key, price numeric(6,1), ratio real)")
	schema := connector.StructOf("", connector.Field{Name: "id", Schema: connector.Of(connector.Int64)},
		connector.Field{Name: "price", Schema: &connector.Schema{Type: connector.Decimal, Precision: 6, Scale: 3}},
		connector.Field{Name: "ratio", Schema: connector.Of(connector.Float64)},
		connector.Field{Name: "new", Schema: connector.Of(connector.Date)})
	r := datum(schema, connector.ListValue([]connector.Value{connector.IntValue(1 << 40), connector.TextValue("99999.125"),
		connector.FloatValue(0.1), connector.IntValue(0)}))
	rigid := g.open(task(1), upsertByID...)
	err := rigid.Write(t.Context(), batch(1, r))
	require.True(t, connector.IsPermanent(err), "%v", err)
	for _, says := range []string{`"t"`, `"new"`, "date", `alter table "t" add column "new" date`, `"ratio" is real`, "float64",
		`alter column "ratio" type double precision`} {
		require.ErrorContains(t, err, says)
	}
	s := g.open(task(2), append(upsertByID, "auto.evolve", "true")...)
	write(t, s, batch(1, r))
	require.Equal(t, "(1099511627776,99999.125,0.1,1970-01-01)", g.text("select * from t"))
	require.Equal(t, "numeric(8,3)", g.scalar("select format_type(atttypid, atttypmod) from pg_attribute where attrelid = 't'::regclass and attname = 'price'"))

	wrong := datum(connector.StructOf("", connector.Field{Name: "id", Schema: connector.Of(connector.String)}), connector.ListValue([]connector.Value{connector.TextValue("x")}))
	err = s.Write(t.Context(), batch(2, wrong))
	require.True(t, connector.IsPermanent(err), "%v", err)
	require.ErrorContains(t, err, `alter table "t" alter column "id" type text`)
}

func TestTableChangedByOthersIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	s := g.open(task(1), upsertByID...)
	write(t, s, batch(1, row(1, "a")))
	g.exec("alter table t alter column id type bigint")
	write(t, s, batch(2, row(2, "b")))
	g.exec("drop table t")
	write(t, s, batch(3, row(3, "c")))
	require.Equal(t, "(3,c)", g.text("select * from t"))
}

func TestMissingTableSaysHowToMakeIt(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	s := g.open(task(1), append(upsertByID, "auto.create", "false")...)
	err := s.Write(t.Context(), batch(1, row(1, "a")))
	require.True(t, connector.IsPermanent(err), "%v", err)
	statement := `create table "t" ("id" integer not null, "name" text, primary key ("id"))`
	require.ErrorContains(t, err, statement)
	g.exec(statement)
	write(t, s, batch(1, row(1, "a"))) // no need to open again

	g.exec("drop table t; create table t (id integer, name text)")
	err = g.open(task(2), upsertByID...).Write(t.Context(), batch(2, row(1, "a")))
	require.True(t, connector.IsPermanent(err), "%v", err)
	require.ErrorContains(t, err, `alter table "t" add primary key ("id")`)

	g.exec("drop table t; create table t (id integer primary key, name text, needed text not null)")
	err = g.open(task(3), upsertByID...).Write(t.Context(), batch(2, row(1, "a")))
	require.True(t, connector.IsPermanent(err), "%v", err)
	require.ErrorContains(t, err, `"needed"`)
}

func TestTasksThatStartTogetherCreateOneTable(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	const tasks = 6
	errs := make([]error, tasks)
	var wg sync.WaitGroup
	for i := range tasks {
		wg.Go(func() {
			s, err := Sink.OpenSink(t.Context(), g.config(append(upsertByID, "auto.evolve", "true")...), connector.Task{Connector: "c", UID: 7, Number: i, Epoch: 1})
			if err != nil {
				errs[i] = err
				return
			}
			r := row(i, "a")
			if i%2 == 0 {
				r = short(i)
			}
			next := connector.Position{connector.Partition(strings.Repeat("p", i+1)): "{}"}
			r.Topic = "x"
			if errs[i] = s.Write(t.Context(), connector.Batch{Records: []connector.Record{r}, Next: next}); errs[i] == nil {
				errs[i] = s.Close()
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, tasks, g.count("select count(*) from t"))
	require.Equal(t, tasks, g.count("select count(*) from gantry_positions"))
}

func TestViewsAndRowSecurityAreWrittenThroughInsert(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	g.exec("create table base (id integer, name text); create view t as select * from base")
	s := g.open(task(1))
	write(t, s, batch(1, row(1, "a"), row(2, "b")))
	require.Equal(t, 2, g.count("select count(*) from base"))
}
