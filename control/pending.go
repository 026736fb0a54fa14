package control

import (
	"context"
	"errors"
)

var errPending = errors.New("not built yet")

func (s *Service) CheckConfig(ctx context.Context, config map[string]string, author string) (CheckResult, error) {
	return CheckResult{}, errPending
}
func (s *Service) CheckConnector(ctx context.Context, name, author string) (CheckResult, error) {
	return CheckResult{}, errPending
}
func (s *Service) Preview(ctx context.Context, r PreviewRequest) (Preview, error) {
	return Preview{}, errPending
}
func (s *Service) PreviewTopic(ctx context.Context, r TopicPreviewRequest) (Preview, error) {
	return Preview{}, errPending
}
