package demo

import (
	"fmt"
	"strings"
)

// table is one of the nycflights13 tables: the columns in the order of the file, with the Postgres types that the copy
// must end up with.
type table struct {
	name    string
	columns []column
	spread  bool // over all queues; otherwise the file's order is kept in one queue
}

type column struct{ name, logical, sql string }

func columns(spec string) []column {
	sql := map[string]string{"int32": "integer", "int16": "smallint", "float64": "double precision", "string": "text",
		"timestamptz": "timestamp with time zone"}
	var cols []column
	for _, field := range strings.Fields(spec) {
		name, logical, _ := strings.Cut(field, ":")
		cols = append(cols, column{name, logical, sql[logical]})
	}
	return cols
}

// tables is what the demo copies, smallest first.
var tables = []table{
	{name: "airlines", columns: columns("carrier:string name:string")},
	{name: "airports", columns: columns("faa:string name:string lat:float64 lon:float64 alt:int32 tz:int16 dst:string tzone:string")},
	{name: "planes", columns: columns("tailnum:string year:int32 type:string manufacturer:string model:string engines:int32 seats:int32 speed:int32 engine:string")},
	{name: "weather", columns: columns("origin:string year:int32 month:int32 day:int32 hour:int32 temp:float64 dewp:float64 humid:float64 " +
		"wind_dir:int32 wind_speed:float64 wind_gust:float64 precip:float64 pressure:float64 visib:float64 time_hour:timestamptz")},
	{name: "flights", spread: true, columns: columns("year:int32 month:int32 day:int32 dep_time:int32 sched_dep_time:int32 dep_delay:int32 " +
		"arr_time:int32 sched_arr_time:int32 arr_delay:int32 carrier:string flight:int32 tailnum:string origin:string dest:string " +
		"air_time:int32 distance:int32 hour:int32 minute:int32 time_hour:timestamptz")},
}

const sinkName = "tables-to-postgres"

func (t table) sourceName() string { return t.name + "-from-file" }

// sourceConfig reads the table's file; the types are given so that the sink's columns do not depend on a sample.
func (t table) sourceConfig(file string) map[string]string {
	types := make([]string, len(t.columns))
	for i, c := range t.columns {
		types[i] = c.name + ":" + c.logical
	}
	config := map[string]string{
		"connector.class": "FileSource",
		"file":            file,
		"format":          "csv",
		"csv.null":        "NA",
		"csv.types":       strings.Join(types, ","),
		"schema.name":     t.name,
		"topic":           t.name,
		"topic.queues":    "4",
	}
	if t.spread {
		config["queue.unkeyed"] = "spread"
	}
	return config
}

// sinkConfig writes all tables to Postgres; the password stays in the environment.
func sinkConfig(url string) map[string]string {
	topics := make([]string, len(tables))
	for i, t := range tables {
		topics[i] = t.name
	}
	return map[string]string{
		"connector.class":     "PostgresSink",
		"topics":              strings.Join(topics, ","),
		"tasks.max":           "4",
		"connection.url":      url,
		"connection.password": "${env:" + passwordVariable + "}",
		"table":               "${topic}",
		"insert.mode":         "insert",
		"auto.create":         "true",
	}
}

// passwordVariable is the environment variable that holds the target's password.
const passwordVariable = "DEMO_TARGET_PASSWORD"

// createExpected is the DDL of the table that Postgres itself loads for the comparison.
func (t table) createExpected() string {
	cols := make([]string, len(t.columns))
	for i, c := range t.columns {
		cols[i] = fmt.Sprintf("%q %s", c.name, c.sql)
	}
	return fmt.Sprintf("create temp table expected (%s)", strings.Join(cols, ", "))
}
