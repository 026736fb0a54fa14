package transforms

import "github.com/gantry-connect/gantry/connector"

// cache keeps what a transform has worked out for a schema. Schemas are compared by identity: records of one kind share
// theirs.
type cache[P any] struct {
	last  *connector.Schema
	plan  P // of last
	plans map[*connector.Schema]P
}

// maxPlans is how many schemas are remembered; a topic whose records all have a schema of their own must not fill the
// memory.
const maxPlans = 1000

// of returns the plan for s, which build makes at its first use.
func (c *cache[P]) of(s *connector.Schema, build func(s *connector.Schema) P) P {
	if s == c.last {
		return c.plan
	}
	p, ok := c.plans[s]
	if !ok {
		if c.plans == nil || len(c.plans) >= maxPlans {
			c.plans = map[*connector.Schema]P{}
		}
		p = build(s)
		c.plans[s] = p
	}
	c.last, c.plan = s, p
	return p
}
