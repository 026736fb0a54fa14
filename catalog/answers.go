package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// answersKept is how long a request that comes again gets the answer that it got before.
	answersKept = 24 * time.Hour
	// answerWithin is after how long a request whose server has died may be made again with the same key.
	answerWithin = 2 * time.Minute
)

// Answer is the kept answer to a request.
type Answer struct {
	Fingerprint string // of the request that it answers
	Status      int    // HTTP; 0 while the request is under way
	Header      map[string]string
	Body        []byte
}

// TakeAnswer looks for the answer to a request that principal has made under this key. Without one the request is noted as
// under way, and answered is false: the caller carries it out and keeps the answer by KeepAnswer or lets go of the key by
// DropAnswer. An answer with status 0 says that the same or another request is under way under the key.
func (c *Catalog) TakeAnswer(ctx context.Context, principal, key, fingerprint string) (a Answer, answered bool, err error) {
	args := pgx.StrictNamedArgs{"principal": principal, "key": key, "fingerprint": fingerprint,
		"kept": answersKept, "within": answerWithin}
	var print *string
	var status *int
	var taken bool
	err = c.pool.QueryRow(ctx, `
		with taken as (
			insert into gantry.kept_answers as old (principal, key, fingerprint) values (@principal, @key, @fingerprint)
			on conflict (principal, key) do update
			set fingerprint = excluded.fingerprint, status = null, header = null, body = null, taken_at = clock_timestamp()
			where old.taken_at < clock_timestamp() - case when old.status is null then @within::interval else @kept::interval end
			returning true)
		select true, null::text, null::integer, null::jsonb, null::bytea from taken
		union all
		select false, fingerprint, status, header, body from gantry.kept_answers
		where principal = @principal and key = @key and not exists (select from taken)`, args).
		Scan(&taken, &print, &status, &a.Header, &a.Body)
	if errors.Is(err, pgx.ErrNoRows) {
		return Answer{Fingerprint: fingerprint}, true, nil // taken this very moment by another: under way
	}
	if err != nil {
		return Answer{}, false, fmt.Errorf("look for a kept answer: %w", err)
	}
	if print != nil {
		a.Fingerprint = *print
	}
	if status != nil {
		a.Status = *status
	}
	return a, !taken, nil
}

// KeepAnswer keeps the answer to the request that took the key, for a day.
func (c *Catalog) KeepAnswer(ctx context.Context, principal, key string, a Answer) error {
	_, err := c.pool.Exec(ctx, `
		update gantry.kept_answers set status = @status, header = @header, body = @body
		where principal = @principal and key = @key and fingerprint = @fingerprint`,
		pgx.StrictNamedArgs{"principal": principal, "key": key, "fingerprint": a.Fingerprint, "status": a.Status,
			"header": a.Header, "body": a.Body})
	if err != nil {
		return fmt.Errorf("keep an answer: %w", err)
	}
	return nil
}

// DropAnswer forgets a request that took the key and was not carried out, so that it may be made again.
func (c *Catalog) DropAnswer(ctx context.Context, principal, key string) error {
	_, err := c.pool.Exec(ctx, "delete from gantry.kept_answers where principal = @principal and key = @key and status is null",
		pgx.StrictNamedArgs{"principal": principal, "key": key})
	if err != nil {
		return fmt.Errorf("forget a request: %w", err)
	}
	return nil
}

// wishes is the principal under which the keys of wishes are kept that may come again without anybody asking for an answer.
const wishes = "gantry/wishes"

// takeKey notes the key of a wish with what is done about it, and reports whether it is new. A wish without a key always is.
func takeKey(ctx context.Context, tx pgx.Tx, key string) (isNew bool, err error) {
	if key == "" {
		return true, nil
	}
	tag, err := tx.Exec(ctx, `insert into gantry.kept_answers (principal, key, fingerprint, status) values (@principal, @key, '', 0)
		on conflict (principal, key) do nothing`, pgx.StrictNamedArgs{"principal": wishes, "key": key})
	if err != nil {
		return false, fmt.Errorf("take the key of a wish: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}
