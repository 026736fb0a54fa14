package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gantry-connect/gantry/catalog"
)

// TokenPrefix begins every token, so that people and secret scanners know one when they see it.
const TokenPrefix = "gty_"

const tokenBytes = 32 // random; more than can be guessed

// NewToken makes the text of a token and the hash by which it is known from then on. The text is shown once and kept
// nowhere.
func NewToken() (text string, hash []byte) {
	random := make([]byte, tokenBytes)
	_, _ = rand.Read(random) // never fails: the program ends where there is no randomness
	text = TokenPrefix + base64.RawURLEncoding.EncodeToString(random)
	return text, hashOf(text)
}

func hashOf(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// TokenStore finds tokens by hash; *catalog.Catalog is one.
type TokenStore interface {
	UseToken(ctx context.Context, hash []byte) (catalog.Token, error)
}

// Tokens authenticates by tokens, sent as `Authorization: Bearer …`, or as the password of basic authentication with the
// token's name as the user, for clients that know nothing else.
type Tokens struct{ Store TokenStore }

// Authenticate names the sender; see Chain.
func (t Tokens) Authenticate(r *http.Request) (Principal, error) {
	user, text := "", bearer(r)
	if text == "" {
		user, text, _ = r.BasicAuth()
	}
	if !strings.HasPrefix(text, TokenPrefix) {
		return Principal{}, errNotMine
	}
	token, err := t.Store.UseToken(r.Context(), hashOf(text))
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return Principal{}, &UnauthenticatedError{"no such token; it may have been revoked"}
	case err != nil:
		return Principal{}, err
	case token.Expired:
		return Principal{}, &UnauthenticatedError{fmt.Sprintf("token %s has expired", token.Name)}
	case user != "" && user != token.Name:
		return Principal{}, &UnauthenticatedError{fmt.Sprintf("token %s was sent under another user's name", token.Name)}
	}
	return principalOf(token)
}

func principalOf(token catalog.Token) (Principal, error) {
	role, err := ParseRole(token.Role)
	if err != nil {
		return Principal{}, fmt.Errorf("token %s: %w", token.Name, err)
	}
	scope, err := ParseScope(token.Scope)
	if err != nil {
		return Principal{}, fmt.Errorf("token %s: %w", token.Name, err)
	}
	return Principal{Name: token.Name, Role: role, Scope: scope}, nil
}

// bearer is the bearer token of a request, or "".
func bearer(r *http.Request) string {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(text)
}
