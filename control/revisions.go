package control

import "time"

// Revision is one version of a connector's config.
type Revision struct {
	Number  int64     `json:"number" example:"3" doc:"From 1."`
	Class   string    `json:"class" example:"FileSource"`
	Author  string    `json:"author" example:"ana" doc:"Who made it."`
	At      time.Time `json:"at"`
	Current bool      `json:"current" doc:"It is the one in force."`
	Changed []string  `json:"changed" nullable:"false" example:"[\"tasks.max\"]" doc:"The keys that differ from the revision before."`
}

// RevisionConfig is a revision with its config.
type RevisionConfig struct {
	Revision
	Config map[string]string `json:"config" doc:"As given; references to secrets are never resolved."`
}

// Revisions is a page of revisions, newest first.
type Revisions struct {
	Items []Revision `json:"items" nullable:"false"`
	Next  string     `json:"next,omitempty" doc:"The cursor of the next page; absent on the last."`
}

// Change is one key that differs between two revisions.
type Change struct {
	Key  string  `json:"key" example:"tasks.max"`
	Kind string  `json:"kind" enum:"added,removed,changed"`
	Old  *string `json:"old,omitempty" example:"2" doc:"Absent where the key was added."`
	New  *string `json:"new,omitempty" example:"4" doc:"Absent where the key was removed."`
}

// Diff is what changed from one revision to another.
type Diff struct {
	From    int64    `json:"from" example:"2" doc:"0 is the empty config before the first revision."`
	To      int64    `json:"to" example:"3"`
	Changes []Change `json:"changes" nullable:"false" doc:"By key."`
}
