package postgres

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gantry-connect/gantry/connector"
)

// Config is the sink's config, in the terms that JDBC sinks have made common.
type Config struct {
	URL      string           `config:"connection.url" required:"true" group:"Connection" doc:"The target database: postgres://user@host:5432/database, key=value pairs as libpq has them, or a jdbc:postgresql: URL. Prefer connection.password to a password in here."`
	User     string           `config:"connection.user" group:"Connection" importance:"high" doc:"The role to connect as; overrides the one in connection.url."`
	Password connector.Secret `config:"connection.password" group:"Connection" importance:"high" doc:"The role's password; overrides the one in connection.url."`

	Table      string   `config:"table" default:"${topic}" group:"Writes" importance:"high" doc:"The table a record goes to. ${topic} stands for the record's topic, ${schema} for the name of its schema. May be qualified by a schema (raw.orders); a part in double quotes may hold dots. Names are case-sensitive."`
	InsertMode string   `config:"insert.mode" default:"insert" enum:"insert,upsert,update" group:"Writes" importance:"high" doc:"insert: every record becomes a new row. upsert: a record replaces the row with its primary key, or becomes a new one. update: a record changes the row with its primary key and is nothing where there is none."`
	PKMode     string   `config:"pk.mode" default:"none" enum:"none,record_key,record_value" group:"Writes" importance:"high" doc:"Where the primary key's columns come from: the record's key, or fields of its value."`
	PKFields   []string `config:"pk.fields" group:"Writes" importance:"high" doc:"The primary key's columns: names of fields of the key or value, all of the key's fields if empty; with a key that is a single value, the name of its column."`
	Delete     bool     `config:"delete.enabled" default:"false" group:"Writes" importance:"medium" doc:"Carry out deletes, tombstones and truncates. Otherwise they are ignored."`

	AutoCreate    bool   `config:"auto.create" default:"false" group:"Tables" importance:"medium" doc:"Create a missing table from the schema of its first record."`
	AutoEvolve    bool   `config:"auto.evolve" default:"false" group:"Tables" importance:"medium" doc:"Add columns for fields that the table lacks, and widen columns (smallint to integer to bigint, real to double precision, numeric to more digits). Nothing is dropped or narrowed."`
	PositionTable string `config:"position.table" default:"gantry_positions" group:"Tables" importance:"low" doc:"The table that holds how far the topics have been written, created if it is missing, together with one of this name and the ending _owners. May be qualified by a schema."`
}

const (
	modeInsert = "insert"
	modeUpsert = "upsert"
	modeUpdate = "update"
	pkNone     = "none"
	pkKey      = "record_key"
	pkValue    = "record_value"
)

func check(c *Config) error {
	var errs connector.ConfigErrors
	bad := func(field, value, format string, args ...any) {
		errs = append(errs, &connector.ConfigError{Field: field, Value: value, Reason: fmt.Sprintf(format, args...)})
	}
	if _, err := c.connection(connector.Task{}); err != nil && !strings.Contains(c.URL, "${") {
		bad("connection.url", "", "is no connection to Postgres: %v", err)
	}
	if c.InsertMode != modeInsert && c.PKMode == pkNone {
		bad("pk.mode", c.PKMode, "must be record_key or record_value when insert.mode = %s", c.InsertMode)
	}
	if c.Delete && c.PKMode == pkNone {
		bad("pk.mode", c.PKMode, "must be record_key or record_value when delete.enabled = true")
	}
	if c.PKMode == pkValue && len(c.PKFields) == 0 {
		bad("pk.fields", "", "must name the primary key's fields when pk.mode = record_value")
	}
	if _, err := parseName(expand(c.Table, "topic", "schema")); err != nil {
		bad("table", c.Table, "%v", err)
	}
	if _, err := parseName(c.PositionTable); err != nil {
		bad("position.table", c.PositionTable, "%v", err)
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// unreadable is why a text is no connection, without the text: pgx masks only the passwords that it finds, and one that is not
// escaped may be why it finds nothing.
func unreadable(err error) error {
	text := err.Error()
	return fmt.Errorf("%s; in a URL, what is special in user and password is escaped, as / by %%2F",
		strings.TrimPrefix(text[strings.LastIndexByte(text, '`')+1:], ": "))
}

// connection is how to reach the target in the name of task.
func (c *Config) connection(task connector.Task) (*pgx.ConnConfig, error) {
	conn, err := pgx.ParseConfig(strings.TrimPrefix(c.URL, "jdbc:"))
	if err != nil {
		return nil, unreadable(err)
	}
	if c.User != "" {
		conn.User = c.User
	}
	if c.Password != "" {
		conn.Password = string(c.Password)
	}
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = 10 * time.Second
	}
	conn.RuntimeParams["application_name"] = task.Session()
	conn.RuntimeParams["client_encoding"] = "UTF8"
	// A target that has vanished without a word is noticed after 15 s.
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 6 * time.Second, Interval: 3 * time.Second, Count: 3}}
	conn.DialFunc = dialer.DialContext
	return conn, nil
}

// expand fills a table template.
func expand(template, topic, schema string) string {
	return strings.NewReplacer("${topic}", topic, "${schema}", schema).Replace(template)
}

// name is a table's name as the user writes it, taken apart.
type name struct{ schema, table string } // schema is empty where the search path decides

// maxNameBytes is NAMEDATALEN - 1: Postgres cuts longer names off, so that two of them may become one.
const maxNameBytes = 63

func parseName(text string) (name, error) {
	var parts []string
	for rest := text; ; {
		var part string
		if strings.HasPrefix(rest, `"`) {
			end := strings.Index(rest[1:], `"`)
			if end < 0 {
				return name{}, fmt.Errorf("the table name %s has an open quote", text)
			}
			part, rest = rest[1:end+1], rest[end+2:]
			if rest != "" && rest[0] != '.' {
				return name{}, fmt.Errorf("the table name %s has text behind a quote", text)
			}
		} else if dot := strings.IndexByte(rest, '.'); dot >= 0 {
			part, rest = rest[:dot], rest[dot:]
		} else {
			part, rest = rest, ""
		}
		if part == "" || len(part) > maxNameBytes || strings.ContainsRune(part, 0) {
			return name{}, fmt.Errorf("the part %q of the table name %s must have 1 to %d bytes", part, text, maxNameBytes)
		}
		parts = append(parts, part)
		if rest == "" {
			break
		}
		rest = rest[1:]
	}
	switch len(parts) {
	case 1:
		return name{table: parts[0]}, nil
	case 2:
		return name{parts[0], parts[1]}, nil
	}
	return name{}, fmt.Errorf("the table name %s has %d parts where schema.table has two", text, len(parts))
}

// String is the name quoted for SQL.
func (n name) String() string {
	if n.schema == "" {
		return quote(n.table)
	}
	return quote(n.schema) + "." + quote(n.table)
}

func quote(identifier string) string { return pgx.Identifier{identifier}.Sanitize() }
