package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gantry-connect/gantry/connector"
)

const (
	// oldestServer is the lowest server_version_num that is tested.
	oldestServer = 130000
	// spareConnections is how many connections a server should have left for a sink's tasks and those who look after it.
	spareConnections = 5
)

// prober looks at the target for who asks what keeps the sink from working. It changes nothing there.
type prober struct {
	config   *Config
	conn     *pgx.Conn
	role     string // as which it is connected
	findings []connector.Finding
}

func (p *prober) add(severity connector.Severity, code, subject, message, remedy string) {
	p.findings = append(p.findings, connector.Finding{Severity: severity, Code: code, Subject: subject, Message: message, Remedy: remedy})
}

// look is the sink's Probe.
func look(ctx context.Context, c *Config, s connector.Surroundings) []connector.Finding {
	p := &prober{config: c}
	config, err := c.connection(connector.Task{})
	if err != nil {
		p.add(connector.SeverityError, "invalid-config", "connection.url", "It is no connection to Postgres: "+err.Error(), "")
		return p.findings
	}
	config.RuntimeParams["application_name"] = "gantry check"
	config.RuntimeParams["default_transaction_read_only"] = "on"
	if p.conn, err = pgx.ConnectConfig(ctx, config); err != nil {
		p.unreachable(config, err)
		return p.findings
	}
	defer func() { _ = p.conn.Close(context.WithoutCancel(ctx)) }() // it was only looked through
	for _, step := range []func(context.Context) error{p.server, p.positions,
		func(ctx context.Context) error { return p.targets(ctx, s.Topics) }} {
		if err := step(ctx); err != nil {
			p.add(connector.SeverityError, "check-failed", "database "+config.Database, "The target cannot be looked through: "+describe(err), "")
			return p.findings
		}
	}
	return p.findings
}

// unreachable says why there is no connection, and what mends it.
func (p *prober) unreachable(config *pgx.ConnConfig, err error) {
	subject := fmt.Sprintf("%s:%d", config.Host, config.Port)
	var dns *net.DNSError
	switch code := sqlState(err); {
	case code == "28000" || code == "28P01":
		p.add(connector.SeverityError, "login-refused", "role "+config.User, "The server refuses the login: "+describe(err),
			"check connection.user and connection.password, and the server's pg_hba.conf")
	case code == "3D000":
		p.add(connector.SeverityError, "missing-database", "database "+config.Database, "It does not exist.",
			fmt.Sprintf("CREATE DATABASE %s;", quote(config.Database)))
	case code == "42501":
		p.add(connector.SeverityError, "missing-privilege", "database "+config.Database, describe(err),
			fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s;", quote(config.Database), quote(config.User)))
	case code == "53300":
		p.add(connector.SeverityError, "no-connections", subject, "The server has no connection left: "+describe(err),
			"raise max_connections, or end idle sessions")
	case errors.As(err, &dns):
		p.add(connector.SeverityError, "unreachable", subject, fmt.Sprintf("The worker cannot resolve the host name %s.", config.Host),
			"correct connection.url, or the worker's name resolution")
	default:
		p.add(connector.SeverityError, "unreachable", subject, "The worker cannot connect: "+describe(err),
			"check that the server runs, connection.url, and firewalls between the worker and it")
	}
}

// server looks at the version and at settings that keep a sink from working.
func (p *prober) server(ctx context.Context) error {
	var text string
	var version, free int
	var standby, sync bool
	err := p.conn.QueryRow(ctx, `
		select current_setting('server_version'), current_setting('server_version_num')::int, current_user,
		       pg_is_in_recovery(), current_setting('synchronous_commit') <> 'off',
		       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
		           - (select count(*) from pg_stat_activity where backend_type = 'client backend')::int`).
		Scan(&text, &version, &p.role, &standby, &sync, &free)
	if err != nil {
		return err
	}
	p.add(connector.SeverityOK, "connection", "server", fmt.Sprintf("Connected to Postgres %s as %s.", text, p.role), "")
	if version < oldestServer {
		p.add(connector.SeverityWarning, "old-server", "server", fmt.Sprintf("Postgres %s is older than what is tested (%d).", text, oldestServer/10000), "upgrade the server")
	}
	if standby {
		p.add(connector.SeverityError, "read-only", "server", "It is a standby, which takes no writes.",
			"connect to the primary: name all hosts in connection.url and add target_session_attrs=read-write")
	}
	if !sync {
		p.add(connector.SeverityInfo, "synchronous-commit", "synchronous_commit", "It is off here. The sink turns it on where the position depends on it.", "")
	}
	if free < spareConnections {
		p.add(connector.SeverityWarning, "few-connections", "max_connections", fmt.Sprintf("The server has %d connections left.", max(free, 0)), "raise max_connections")
	}
	return nil
}

// positions looks at the tables that hold how far the topics have been written.
func (p *prober) positions(ctx context.Context) error {
	n, err := parseName(p.config.PositionTable)
	if err != nil {
		return err
	}
	for _, t := range []name{n, {n.schema, n.table + "_owners"}} {
		there, err := p.there(ctx, t)
		switch {
		case p.closed(err, t):
			err = nil
		case err != nil:
		case !there:
			err = p.mayCreate(ctx, t, "position.table")
		default:
			err = p.mayUse(ctx, t, "SELECT", "INSERT", "UPDATE")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *prober) there(ctx context.Context, t name) (there bool, err error) {
	err = p.conn.QueryRow(ctx, "select to_regclass($1) is not null", t.String()).Scan(&there)
	return there, err
}

// closed reports whether the role may not look into a table's schema, which it then tells.
func (p *prober) closed(err error, t name) bool {
	if sqlState(err) != "42501" || t.schema == "" {
		return false
	}
	p.add(connector.SeverityError, "missing-privilege", "schema "+t.schema, fmt.Sprintf("The role %s may not look up the table %s there.", p.role, t),
		fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s;", quote(t.schema), quote(p.role)))
	return true
}

// targets looks at the tables that the topics go to, as far as their names are known beforehand.
func (p *prober) targets(ctx context.Context, topics []string) error {
	if strings.Contains(p.config.Table, "${schema}") {
		p.add(connector.SeverityInfo, "unknown-tables", "table", "The tables' names depend on the records' schemas: they cannot be checked beforehand.", "")
		return nil
	}
	if !strings.Contains(p.config.Table, "${topic}") {
		topics = []string{""} // one table for all
	}
	for _, topic := range topics {
		t, err := parseName(expand(p.config.Table, topic, ""))
		if err != nil {
			p.add(connector.SeverityError, "invalid-config", "table", err.Error(), "")
			continue
		}
		if err := p.target(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func (p *prober) target(ctx context.Context, t name) error {
	there, err := p.there(ctx, t)
	switch {
	case p.closed(err, t):
		return nil
	case err != nil:
		return err
	case !there && p.config.AutoCreate:
		return p.mayCreate(ctx, t, "table")
	case !there:
		p.add(connector.SeverityError, "missing-table", "table "+t.String(), "It does not exist, and auto.create is false.",
			"create it, or set auto.create = true")
		return nil
	}
	needed := []string{"INSERT"}
	switch p.config.InsertMode {
	case modeUpsert:
		needed = []string{"SELECT", "INSERT", "UPDATE"}
	case modeUpdate:
		needed = []string{"SELECT", "UPDATE"}
	}
	if p.config.Delete {
		needed = append(needed, "DELETE", "TRUNCATE")
	}
	if err := p.mayUse(ctx, t, needed...); err != nil {
		return err
	}
	if err := p.mayEvolve(ctx, t); err != nil {
		return err
	}
	return p.hasKey(ctx, t)
}

// mayUse looks for the privileges on a table that is there.
func (p *prober) mayUse(ctx context.Context, t name, privileges ...string) error {
	var missing []string
	for _, privilege := range privileges {
		var has bool
		if err := p.conn.QueryRow(ctx, "select has_table_privilege($1::regclass, $2)", t.String(), privilege).Scan(&has); err != nil {
			return err
		}
		if !has {
			missing = append(missing, privilege)
		}
	}
	if len(missing) == 0 {
		p.add(connector.SeverityOK, "privileges", "table "+t.String(), fmt.Sprintf("%s has %s.", p.role, strings.Join(privileges, ", ")), "")
		return nil
	}
	list := strings.Join(missing, ", ")
	p.add(connector.SeverityError, "missing-privilege", "table "+t.String(), fmt.Sprintf("The role %s lacks %s.", p.role, list),
		fmt.Sprintf("GRANT %s ON TABLE %s TO %s;", list, t, quote(p.role)))
	return nil
}

// mayCreate looks at the schema in which a missing table would be made.
func (p *prober) mayCreate(ctx context.Context, t name, key string) error {
	schema := &t.schema
	if t.schema == "" {
		if err := p.conn.QueryRow(ctx, "select current_schema()").Scan(&schema); err != nil {
			return err
		}
		if schema == nil {
			p.add(connector.SeverityError, "missing-schema", key, fmt.Sprintf("No schema of the search path exists, so the table %s has no place.", t),
				"name a schema: "+key+" = SCHEMA."+t.table)
			return nil
		}
	}
	var there, may bool
	err := p.conn.QueryRow(ctx, "select true, has_schema_privilege(oid, 'CREATE') from pg_namespace where nspname = $1", *schema).Scan(&there, &may)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	switch {
	case !there:
		p.add(connector.SeverityError, "missing-schema", "schema "+*schema, fmt.Sprintf("It does not exist, so the table %s cannot be created.", t),
			fmt.Sprintf("CREATE SCHEMA %s AUTHORIZATION %s;", quote(*schema), quote(p.role)))
	case !may:
		p.add(connector.SeverityError, "missing-privilege", "schema "+*schema, fmt.Sprintf("The role %s may not create the table %s there.", p.role, t),
			fmt.Sprintf("GRANT CREATE ON SCHEMA %s TO %s;", quote(*schema), quote(p.role)))
	default:
		p.add(connector.SeverityInfo, "table-missing", "table "+t.String(), "It does not exist and will be created.", "")
	}
	return nil
}

// mayEvolve looks whether a table's columns could be changed: only its owner may do that.
func (p *prober) mayEvolve(ctx context.Context, t name) error {
	if !p.config.AutoEvolve {
		return nil
	}
	var owner string
	var may bool
	err := p.conn.QueryRow(ctx, `select pg_get_userbyid(relowner), pg_has_role(relowner, 'USAGE') from pg_class where oid = $1::regclass`,
		t.String()).Scan(&owner, &may)
	if err != nil || may {
		return err
	}
	p.add(connector.SeverityWarning, "missing-privilege", "table "+t.String(),
		fmt.Sprintf("auto.evolve cannot change it: it belongs to %s, and only the owner's role may.", owner),
		fmt.Sprintf("GRANT %s TO %s; or set auto.evolve = false", quote(owner), quote(p.role)))
	return nil
}

// hasKey looks for the unique index that upserts need, where the key's columns are known beforehand.
func (p *prober) hasKey(ctx context.Context, t name) error {
	if p.config.InsertMode != modeUpsert || len(p.config.PKFields) == 0 {
		return nil
	}
	target, err := loadTable(ctx, p.conn, t)
	if err != nil || target == nil || target.hasUnique(p.config.PKFields) {
		return err
	}
	p.add(connector.SeverityError, "missing-key", "table "+t.String(),
		"It has no unique index on exactly the columns of pk.fields, which insert.mode = upsert needs.",
		fmt.Sprintf("ALTER TABLE %s ADD PRIMARY KEY (%s);", t, quoteAll(p.config.PKFields)))
	return nil
}
