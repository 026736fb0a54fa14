package client_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/client"
	"github.com/gantry-connect/gantry/control"
	"github.com/gantry-connect/gantry/probe"
)

// The client has types of its own, so that other programs need nothing of the server. They must not lose a field.
func TestNoFieldOfAnAnswerIsLost(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]reflect.Type{
		{reflect.TypeFor[control.Info](), reflect.TypeFor[client.Info]()},
		{reflect.TypeFor[control.Status](), reflect.TypeFor[client.Status]()},
		{reflect.TypeFor[control.TaskInfo](), reflect.TypeFor[client.TaskConfig]()},
		{reflect.TypeFor[control.PluginInfo](), reflect.TypeFor[client.Plugin]()},
		{reflect.TypeFor[control.KeyInfo](), reflect.TypeFor[client.Key]()},
		{reflect.TypeFor[control.Validation](), reflect.TypeFor[client.Validation]()},
		{reflect.TypeFor[control.TaskProgress](), reflect.TypeFor[client.TaskProgress]()},
		{reflect.TypeFor[control.Overview](), reflect.TypeFor[client.Overview]()},
		{reflect.TypeFor[control.BulkResult](), reflect.TypeFor[client.BulkResult]()},
		{reflect.TypeFor[control.RevisionConfig](), reflect.TypeFor[client.RevisionConfig]()},
		{reflect.TypeFor[control.Diff](), reflect.TypeFor[client.RevisionDiff]()},
		{reflect.TypeFor[control.Positions](), reflect.TypeFor[client.Positions]()},
		{reflect.TypeFor[control.PositionVersion](), reflect.TypeFor[client.PositionVersion]()},
		{reflect.TypeFor[control.Event](), reflect.TypeFor[client.Event]()},
		{reflect.TypeFor[control.Worker](), reflect.TypeFor[client.Worker]()},
		{reflect.TypeFor[control.Rebalance](), reflect.TypeFor[client.Rebalance]()},
		{reflect.TypeFor[control.TopicQueues](), reflect.TypeFor[client.TopicQueues]()},
		{reflect.TypeFor[control.AuditEntry](), reflect.TypeFor[client.AuditEntry]()},
		{reflect.TypeFor[probe.CheckResult](), reflect.TypeFor[client.CheckResult]()},
		{reflect.TypeFor[probe.Preview](), reflect.TypeFor[client.Preview]()},
	} {
		require.Equal(t, fields(pair[0], ""), fields(pair[1], ""), pair[1].Name())
	}
}

// fields are the JSON names of a type with those of the types within, and the kinds of their values.
func fields(t reflect.Type, prefix string) []string {
	all := map[string]bool{}
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.PkgPath() == "time" {
		return []string{prefix + " " + t.Kind().String()}
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue // travels as the ETag
		}
		if f.Anonymous && name == "" {
			for _, inner := range fields(f.Type, prefix) {
				all[inner] = true
			}
			continue
		}
		for _, inner := range fields(f.Type, prefix+"."+name) {
			all[inner] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
