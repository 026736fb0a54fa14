package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Token is what is known of an API token. Its text is not: the catalog holds a hash.
type Token struct {
	Name    string
	Role    string // viewer, operator, editor or admin
	Scope   string // which connectors, as package access reads it; * is all
	Author  string // who made it
	Created time.Time
	Expires *time.Time // nil = never
	Used    *time.Time // last time, to the minute; nil = never
	Expired bool       // by the database's clock
}

const selectToken = `
	select name, role, scope, author, created_at as created, expires_at as expires, used_at as used,
	       coalesce(expires_at <= clock_timestamp(), false) as expired
	from gantry.tokens`

// CreateToken keeps a token's hash (32 bytes, SHA-256). ErrExists if the name is taken. lifetime 0 is for ever.
func (c *Catalog) CreateToken(ctx context.Context, t Token, hash []byte, lifetime time.Duration) (Token, error) {
	tag, err := c.pool.Exec(ctx, `
		insert into gantry.tokens (name, hash, role, scope, author, expires_at)
		values (@name, @hash, @role, @scope, @author,
		        case when @lifetime::interval > interval '0' then clock_timestamp() + @lifetime::interval end)
		on conflict (name) do nothing`,
		pgx.StrictNamedArgs{"name": t.Name, "hash": hash, "role": t.Role, "scope": t.Scope, "author": t.Author, "lifetime": lifetime})
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrExists
	}
	if err != nil {
		return Token{}, fmt.Errorf("create token %s: %w", t.Name, err)
	}
	rows, err := c.pool.Query(ctx, selectToken+" where name = @name", pgx.StrictNamedArgs{"name": t.Name})
	if err != nil {
		return Token{}, fmt.Errorf("read token %s: %w", t.Name, err)
	}
	return oneRow[Token](rows, "read token "+t.Name)
}

// UseToken finds a token by its hash and notes that it was used; ErrNotFound if there is none. One that has expired is
// found, too: the caller looks.
func (c *Catalog) UseToken(ctx context.Context, hash []byte) (Token, error) {
	const what = "look up a token"
	rows, err := c.pool.Query(ctx, `
		with used as (
			update gantry.tokens set used_at = clock_timestamp()
			where hash = @hash and (used_at is null or used_at < clock_timestamp() - interval '1 minute'))`+
		selectToken+" where hash = @hash", pgx.StrictNamedArgs{"hash": hash})
	if err != nil {
		return Token{}, fmt.Errorf("%s: %w", what, err)
	}
	return oneRow[Token](rows, what)
}

// Tokens lists all tokens by name.
func (c *Catalog) Tokens(ctx context.Context) ([]Token, error) {
	rows, err := c.pool.Query(ctx, selectToken+" order by name")
	if err != nil {
		return nil, fmt.Errorf("list the tokens: %w", err)
	}
	tokens, err := pgx.CollectRows(rows, pgx.RowToStructByName[Token])
	if err != nil {
		return nil, fmt.Errorf("list the tokens: %w", err)
	}
	return tokens, nil
}

// RevokeToken removes a token: it proves nothing any more, from the next request on. ErrNotFound.
func (c *Catalog) RevokeToken(ctx context.Context, name string) error {
	err := c.pool.QueryRow(ctx, "delete from gantry.tokens where name = @name returning name",
		pgx.StrictNamedArgs{"name": name}).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("revoke token %s: %w", name, err)
	}
	return nil
}
