package rocketmq

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"
)

// Config says where RocketMQ is and how one process talks to it.
type Config struct {
	// NameServers lists the name servers as host:port; at least one. They are tried in turn.
	NameServers []string
	// AccessKey and SecretKey sign every request (ACL 1.0, or user and password of ACL 2.0). Both empty: requests are unsigned.
	AccessKey, SecretKey string
	// Group is the producer and consumer group under which the broker sees this process. Default "gantry". Brokers that do
	// not create groups by themselves (autoCreateSubscriptionGroup=false) must have it before the first pull.
	Group string
	// SendTimeout bounds one send, connecting included; past it the outcome is unsure. Default 3 s.
	SendTimeout time.Duration
	// Connections is how many connections to each broker carry sends, and how many others carry pulls. A queue always uses
	// the same ones. Default 2, at most 64.
	Connections int
	// MaxMessageBytes is the broker's maxMessageSize, which bounds a whole batch. Default 4 MiB.
	MaxMessageBytes int
	// Logger gets the client library's warnings, and its chatter at debug level. Default: nothing is logged. The library logs
	// through one logger per process: the one of the first Open.
	Logger *slog.Logger
}

// WithDefaults returns the config with every zero field that has a default set to it.
func (c Config) WithDefaults() Config {
	if c.Group == "" {
		c.Group = "gantry"
	}
	if c.SendTimeout == 0 {
		c.SendTimeout = 3 * time.Second
	}
	if c.Connections == 0 {
		c.Connections = 2
	}
	if c.MaxMessageBytes == 0 {
		c.MaxMessageBytes = 4 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	if len(c.NameServers) == 0 {
		return errors.New("no name server configured; give at least one as host:port")
	}
	for _, addr := range c.NameServers {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
			return fmt.Errorf("name server %q is not of the form host:port", addr)
		}
	}
	if (c.AccessKey == "") != (c.SecretKey == "") {
		return errors.New("access key and secret key must be given together")
	}
	if err := checkName("group", c.Group, maxGroupName); err != nil {
		return err
	}
	if c.SendTimeout < 100*time.Millisecond || c.SendTimeout > time.Minute {
		return fmt.Errorf("send timeout %v is not between 100 ms and 1 min", c.SendTimeout)
	}
	if c.Connections < 1 || c.Connections > 64 {
		return fmt.Errorf("connections %d is not between 1 and 64", c.Connections)
	}
	if c.MaxMessageBytes < 1<<10 || c.MaxMessageBytes > 1<<28 {
		return fmt.Errorf("max message bytes %d is not between 1 KiB and 256 MiB", c.MaxMessageBytes)
	}
	return nil
}
