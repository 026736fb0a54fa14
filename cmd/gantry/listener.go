package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-connect/gantry/api"
)

const (
	lastRequests   = 4 * time.Second  // how long requests under way may take when the API stops
	lastAnswers    = time.Second      // how long they have to answer after that
	headerWithin   = 10 * time.Second // to send a request's headers
	bodyWithin     = 30 * time.Second // to send headers and body
	idleConnection = 2 * time.Minute  // without a request
	answerSlack    = 30 * time.Second // to write an answer, on top of the time that a request may take
)

// listenAndServe serves handler on api.listen until ctx ends, then finishes the requests under way.
func listenAndServe(ctx context.Context, p *parts, handler http.Handler) error {
	listener, err := listen(p)
	if err != nil {
		return err
	}
	timeout, _ := time.ParseDuration(p.settings.get("api.request-timeout")) // check has seen it
	base, abort := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abort(nil)
	server := &http.Server{Handler: handler, BaseContext: func(net.Listener) context.Context { return base }, ReadHeaderTimeout: headerWithin, ReadTimeout: bodyWithin,
		WriteTimeout: timeout + answerSlack, IdleTimeout: idleConnection, MaxHeaderBytes: 1 << 16}
	p.log.Info("the API listens", "address", listener.Addr().String(), "auth", p.settings.get("api.auth"))
	g, gctx := errgroup.WithContext(ctx) // owns the server
	g.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve the API: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-gctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastRequests+lastAnswers)
		defer cancel()
		patience := time.AfterFunc(lastRequests, func() { abort(api.ErrStopping) })
		defer patience.Stop()
		if err := server.Shutdown(stop); err != nil {
			return errors.Join(fmt.Errorf("stop the API: %w", err), server.Close())
		}
		return nil
	})
	return g.Wait()
}

// listen opens api.listen, with TLS if there is a certificate.
func listen(p *parts) (net.Listener, error) {
	s := p.settings
	files := api.TLSFiles{Cert: s.get("api.tls.cert"), Key: s.get("api.tls.key"), ClientCA: s.get("api.tls.client-ca")}
	if (files.Cert == "") != (files.Key == "") || (files.ClientCA != "" && files.Cert == "") {
		return nil, errors.New("TLS needs both api.tls.cert and api.tls.key")
	}
	address := s.get("api.listen")
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s (api.listen): %w", address, err)
	}
	if err := s.checkBound(listener.Addr()); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	if files.Cert == "" {
		return listener, nil
	}
	certificates, err := api.LoadCertificates(files, p.log)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return tls.NewListener(listener, certificates.TLS()), nil
}
