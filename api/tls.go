package api

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookEvery is how often, at most, certificate files are looked at; only new connections cause a look.
const lookEvery = time.Second

// TLSFiles are the PEM files that a TLS listener works with.
type TLSFiles struct {
	Cert, Key string
	ClientCA  string // clients must show a certificate of one of these authorities; empty: they need none
}

// Certificates serves what the files hold, and what they hold later: new connections get the new certificate, those that
// are open go on. Files that cannot be used after a change are reported once, and the certificate before stays in force.
type Certificates struct {
	files TLSFiles
	log   *slog.Logger

	mu     sync.Mutex
	config *tls.Config
	state  [3]fileState
	looked time.Time
}

// fileState tells a file from what it was.
type fileState struct {
	modified time.Time
	size     int64
}

// LoadCertificates reads the files.
func LoadCertificates(files TLSFiles, log *slog.Logger) (*Certificates, error) {
	c := &Certificates{files: files, log: log, looked: time.Now()}
	var err error
	if c.state, err = c.look(); err != nil {
		return nil, err
	}
	if c.config, err = c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// TLS is the config for a listener.
func (c *Certificates) TLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.newest(), nil }}
}

func (c *Certificates) newest() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < lookEvery {
		return c.config
	}
	c.looked = time.Now()
	state, err := c.look()
	if err == nil && state == c.state {
		return c.config
	}
	config, loadErr := c.load()
	if err = errors.Join(err, loadErr); err != nil {
		if state != c.state {
			c.log.Error("the API's certificate has changed and cannot be used; the one before stays in force", "error", err)
		}
		c.state = state // not reported again until it changes again
		return c.config
	}
	c.state, c.config = state, config
	c.log.Info("the API serves a new certificate", "file", c.files.Cert)
	return c.config
}

func (c *Certificates) look() (state [3]fileState, err error) {
	for i, path := range []string{c.files.Cert, c.files.Key, c.files.ClientCA} {
		if path == "" {
			continue
		}
		info, statErr := os.Stat(path)
		if statErr != nil {
			err = errors.Join(err, fmt.Errorf("look at %s: %w", path, statErr))
			continue
		}
		state[i] = fileState{info.ModTime(), info.Size()}
	}
	return state, err
}

func (c *Certificates) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return nil, fmt.Errorf("load the certificate %s with the key %s (api.tls.cert, api.tls.key): %w", c.files.Cert, c.files.Key, err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{pair}}
	if c.files.ClientCA == "" {
		return config, nil
	}
	pem, err := os.ReadFile(c.files.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("load the authorities of clients (api.tls.client-ca): %w", err)
	}
	config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("load the authorities of clients from %s (api.tls.client-ca): it holds no certificate in PEM", c.files.ClientCA)
	}
	return config, nil
}
