// Package access says who somebody is and what they may do: roles, scopes, and the ways to prove a name (tokens, OIDC,
// htpasswd). It judges requests and operations; it knows neither routes nor tables, and stores nothing. The API enforces
// what it says; tokens are kept by whoever meets its small interfaces.
package access
