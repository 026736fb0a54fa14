package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/gantry-connect/gantry/client"
)

// restAPI is Gantry's REST API with what the measurements do over and over.
type restAPI struct{ *client.Client }

// newRestAPI never repeats a call: what is measured should not wait for that unseen.
func newRestAPI(listen string) (restAPI, error) {
	c, err := client.New(client.Options{Server: listen, Attempts: 1})
	return restAPI{c}, err
}

// failed is why one of the connectors cannot go on, or nil.
func (a restAPI) failed(ctx context.Context, names ...string) error {
	for _, name := range names {
		s, err := a.Status(ctx, name)
		if err != nil {
			return err
		}
		if reason, failed := s.Failure(); failed {
			return fmt.Errorf("connector %s failed: %s", name, reason)
		}
	}
	return nil
}

func (a restAPI) put(ctx context.Context, name string, config map[string]string) error {
	_, _, err := a.PutConfig(ctx, name, config)
	return err
}

// remove deletes a connector and waits until nobody knows it.
func (a restAPI) remove(ctx context.Context, name string) error {
	if err := a.Delete(ctx, name, client.Deletion{}); err != nil {
		return err
	}
	return poll(ctx, startBound, name+" is gone", func() (bool, error) {
		_, err := a.Status(ctx, name)
		if errors.Is(err, client.ErrNotFound) {
			return true, nil
		}
		return false, err
	})
}
