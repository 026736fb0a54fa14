package client

import (
	"context"
	"net/http"
)

// PartitionOffset is how far one partition has been copied. What the maps hold is the connector's business; numbers come
// as json.Number, so that none is rounded.
type PartitionOffset struct {
	Partition map[string]any `json:"partition"`
	Offset    map[string]any `json:"offset"` // nil in a change: forget the partition
}

type offsetsBody struct {
	Offsets []PartitionOffset `json:"offsets"`
}

type messageBody struct {
	Message string `json:"message"`
}

// Offsets is how far every partition has been copied.
func (c *Client) Offsets(ctx context.Context, name string) ([]PartitionOffset, error) {
	var out offsetsBody
	_, err := c.do(ctx, call{method: http.MethodGet, path: path("connectors", name, "offsets"), out: &out})
	return out.Offsets, err
}

// SetOffsets changes the partitions named, of a stopped connector, and returns what the server says to it.
func (c *Client) SetOffsets(ctx context.Context, name string, changes []PartitionOffset) (string, error) {
	var out messageBody
	_, err := c.do(ctx, call{method: http.MethodPatch, path: path("connectors", name, "offsets"), in: offsetsBody{changes}, out: &out})
	return out.Message, err
}

// ResetOffsets forgets how far everything has been copied, of a stopped connector.
func (c *Client) ResetOffsets(ctx context.Context, name string) (string, error) {
	var out messageBody
	_, err := c.do(ctx, call{method: http.MethodDelete, path: path("connectors", name, "offsets"), out: &out})
	return out.Message, err
}
