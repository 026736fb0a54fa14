// Package selector says what labels are and picks by them: Check tells which labels are allowed, Parse reads the
// conditions that REST and the command line take (team=ops,env in (prod,test),!legacy), and Matches applies them.
// It is pure text work: it knows neither connectors nor where labels are kept, and imports the standard library only.
package selector
