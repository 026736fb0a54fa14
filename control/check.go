package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/probe"
)

// Questions is where questions to the workers wait, and their answers.
type Questions interface {
	Ask(ctx context.Context, question json.RawMessage) (id string, err error)
	TakeReply(ctx context.Context, id string) (json.RawMessage, error)
}

// Prober has a worker answer a question that the catalog holds.
type Prober interface {
	// Probe has a worker of the group answer, of those without a group if it is empty, and returns when the answer is in the
	// catalog. about is for people who look at what runs.
	Probe(ctx context.Context, question, about, group string) error
}

// probePatience is how long an answer is waited for; the worker gives up before.
const probePatience = 35 * time.Second

// CheckConfig finds out whether a config would work. What is wrong with it in itself needs no worker to be found.
func (s *Service) CheckConfig(ctx context.Context, config map[string]string) (probe.CheckResult, error) {
	config, err := s.admitProbe(ctx, config)
	var invalid *InvalidConfigError
	if errors.As(err, &invalid) {
		r := probe.CheckResult{Findings: []probe.Finding{}, CheckedAt: time.Now().UTC()}
		for _, p := range invalid.Problems {
			r.Findings = append(r.Findings, probe.Finding{Severity: probe.SeverityError, Code: "invalid-config", Subject: p.Field, Message: p.Error()})
		}
		return r, nil
	}
	if err != nil {
		return probe.CheckResult{}, err
	}
	return s.checkWith(ctx, config)
}

// CheckConnector finds out whether a connector's config works now.
func (s *Service) CheckConnector(ctx context.Context, name string) (probe.CheckResult, error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return probe.CheckResult{}, err
	}
	return s.checkWith(ctx, c.Config)
}

func (s *Service) checkWith(ctx context.Context, config map[string]string) (probe.CheckResult, error) {
	answer, err := s.ask(ctx, probe.Question{Kind: probe.KindCheck, Config: config}, "check "+config["name"])
	if err != nil {
		return probe.CheckResult{}, err
	}
	if answer.Check == nil {
		return probe.CheckResult{}, &NoWorkerError{"a worker could not carry out the check: " + answer.Problem}
	}
	return *answer.Check, nil
}

// unnamed is the name of a config that was given none, where it does not matter.
const unnamed = "unnamed"

// admitProbe checks a config that only is to be looked at, and seals what stands in the clear. Whoever may touch only some
// connectors has to name one of them.
func (s *Service) admitProbe(ctx context.Context, config map[string]string) (map[string]string, error) {
	name := strings.TrimSpace(config["name"])
	stored, labels := map[string]string(nil), map[string]string(nil)
	if name != "" {
		c, err := s.find(ctx, name)
		var missing *NotFoundError
		if err != nil && !errors.As(err, &missing) {
			return nil, err
		}
		stored, labels = c.Config, c.Labels
	}
	if err := mayCreate(ctx, name, labels); err != nil {
		return nil, err
	}
	if name == "" {
		name = unnamed
	}
	_, admitted, err := s.admitOver(name, withName(config, name), stored)
	return admitted, err
}

// ask puts a question to the workers and waits for the answer.
func (s *Service) ask(ctx context.Context, q probe.Question, about string) (probe.Answer, error) {
	group, err := s.groupFor(ctx, q)
	if err != nil {
		return probe.Answer{}, err
	}
	text, err := json.Marshal(q)
	if err != nil {
		return probe.Answer{}, fmt.Errorf("write a question to the workers: %w", err)
	}
	id, err := s.connectors.Ask(ctx, text)
	if err != nil {
		return probe.Answer{}, translate(err, "")
	}
	wait, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	if err := s.prober.Probe(wait, id, about, group); err != nil {
		if ctx.Err() != nil {
			return probe.Answer{}, ctx.Err()
		}
		s.log.Warn("a question to the workers was not answered", "question", id, "about", about, "group", group, "error", err)
		return probe.Answer{}, &NoWorkerError{"no worker has answered in time, or Temporal is away; see the server's log"}
	}
	reply, err := s.connectors.TakeReply(ctx, id)
	if errors.Is(err, catalog.ErrNotFound) {
		return probe.Answer{}, &NoWorkerError{"the worker's answer has expired: try again"}
	}
	if err != nil {
		return probe.Answer{}, translate(err, "")
	}
	var answer probe.Answer
	if err := json.Unmarshal(reply, &answer); err != nil {
		return probe.Answer{}, fmt.Errorf("read a worker's answer: %w", err)
	}
	return answer, nil
}

// groupFor is the group of workers that a question goes to: the config's, which has its plugin. Any worker can look at a topic.
// It saves a question that nobody would answer.
func (s *Service) groupFor(ctx context.Context, q probe.Question) (string, error) {
	if s.prober == nil {
		return "", &NoWorkerError{"this process does not reach the workers"}
	}
	workers, _, err := s.connectors.WorkerViews(ctx)
	if err != nil {
		return "", translate(err, "")
	}
	return chooseGroup(workers, q)
}

func chooseGroup(workers []catalog.WorkerView, q probe.Question) (string, error) {
	// One that an operator drains runs no tasks and still answers; one that is ending does not.
	workers = slices.DeleteFunc(slices.Clone(workers), func(w catalog.WorkerView) bool { return !w.Alive || w.Draining && !w.Cordoned })
	if len(workers) == 0 {
		return "", &NoWorkerError{"no worker is running: only workers have the credentials to look"}
	}
	group := strings.TrimSpace(q.Config["worker.group"])
	if slices.ContainsFunc(workers, func(w catalog.WorkerView) bool { return w.Group == group }) {
		return group, nil
	}
	switch {
	case q.Kind == probe.KindTopic:
		return workers[0].Group, nil
	case group == "":
		return "", &NoWorkerError{"no worker without a group is running: start one, or set worker.group in the config to the group of one that runs"}
	}
	return "", &NoWorkerError{fmt.Sprintf("no worker of group %q is running: start one with the setting worker.group=%s, or change worker.group in the config", group, group)}
}
