package access

import (
	"errors"
	"net/http"
)

// errNotMine says that a request's credentials are of another kind than an authenticator knows.
var errNotMine = errors.New("credentials of another kind")

// Authenticator tells who sends a request. It returns errNotMine, an *UnauthenticatedError, or why it cannot tell now.
type Authenticator interface {
	Authenticate(r *http.Request) (Principal, error)
}

// Chain asks several authenticators in turn. The first that knows the kind of a request's credentials decides.
type Chain []Authenticator

// Authenticate names the sender. The error is an *UnauthenticatedError unless it could not be found out.
func (c Chain) Authenticate(r *http.Request) (Principal, error) {
	if len(r.Header.Values("Authorization")) > 1 {
		// A proxy in front may have looked at another one than this.
		return Principal{}, &UnauthenticatedError{"it carries credentials twice"}
	}
	for _, a := range c {
		p, err := a.Authenticate(r)
		if !errors.Is(err, errNotMine) {
			return p, err
		}
	}
	if r.Header.Get("Authorization") == "" {
		return Principal{}, &UnauthenticatedError{"it carries no credentials"}
	}
	return Principal{}, &UnauthenticatedError{"its credentials are of no kind that this server takes (setting api.auth)"}
}
