// Package logging decides how much each component of a process logs, and lets that be changed while it runs. Components
// have dotted names; what is set for one holds for those below it. Where records are written, and in which form, is up to
// the handler that it is given. It keeps nothing beyond the process and imports nothing of Gantry.
package logging
