// Package counter is a source that makes its records up: numbers in order, each partition its own row. It is for demos,
// tests and measurements; it reads nothing and always gives the same records again.
package counter
