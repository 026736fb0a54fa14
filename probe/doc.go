// Package probe is what the API and a worker say to each other when the worker is to look at something for an operator: a
// check of a config against the systems that it names, or a preview of records. Question and answer go through the
// catalog, where they stay for minutes: Temporal carries the question's id alone.
// It holds types only, with the JSON form that REST shows; it imports the standard library.
package probe
