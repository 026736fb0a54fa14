package control

import (
	"context"
	"errors"
)

var errPending = errors.New("not built yet")

func (s *Service) Overviews(ctx context.Context, q OverviewQuery) (Overviews, error) {
	return Overviews{}, errPending
}
func (s *Service) Overview(ctx context.Context, name string) (Overview, error) {
	return Overview{}, errPending
}
func (s *Service) CreateLabelled(ctx context.Context, c NewConnector) (Overview, error) {
	return Overview{}, errPending
}
func (s *Service) DeleteWith(ctx context.Context, name string, d Deletion, pre Precondition, author string) error {
	return errPending
}
func (s *Service) Labels(ctx context.Context, name string) (map[string]string, error) {
	return nil, errPending
}
func (s *Service) PutLabels(ctx context.Context, name string, labels map[string]string, author string) (map[string]string, error) {
	return nil, errPending
}
func (s *Service) ConfigAt(ctx context.Context, name string) (RevisionConfig, error) {
	return RevisionConfig{}, errPending
}
func (s *Service) ReplaceConfig(ctx context.Context, name string, config map[string]string, pre Precondition, dryRun bool, author string) (made RevisionConfig, created bool, err error) {
	return made, false, errPending
}
func (s *Service) Revisions(ctx context.Context, name string, p Page) (Revisions, error) {
	return Revisions{}, errPending
}
func (s *Service) Revision(ctx context.Context, name string, number int64) (RevisionConfig, error) {
	return RevisionConfig{}, errPending
}
func (s *Service) DiffRevisions(ctx context.Context, name string, from, to int64) (Diff, error) {
	return Diff{}, errPending
}
func (s *Service) Rollback(ctx context.Context, name string, number int64, pre Precondition, author string) (RevisionConfig, error) {
	return RevisionConfig{}, errPending
}
func (s *Service) Positions(ctx context.Context, name string) (Positions, error) {
	return Positions{}, errPending
}
func (s *Service) EditPositions(ctx context.Context, name string, edits []PartitionOffset, pre Precondition, author string) (Positions, error) {
	return Positions{}, errPending
}
func (s *Service) ResetPositions(ctx context.Context, name string, pre Precondition, author string) (Positions, error) {
	return Positions{}, errPending
}
func (s *Service) PositionHistory(ctx context.Context, name string, limit int) (PositionHistory, error) {
	return PositionHistory{}, errPending
}
func (s *Service) UndoPositions(ctx context.Context, name string, version int64, pre Precondition, author string) (Positions, error) {
	return Positions{}, errPending
}
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
func (s *Service) Events(ctx context.Context, q EventQuery) (Events, error) {
	return Events{}, errPending
}
func (s *Service) EventsAfter(ctx context.Context, q EventQuery, after int64) ([]Event, error) {
	return nil, errPending
}
func (s *Service) LastEvent(ctx context.Context) (int64, error)          { return 0, errPending }
func (s *Service) Workers(ctx context.Context) (Workers, error)          { return Workers{}, errPending }
func (s *Service) Worker(ctx context.Context, id string) (Worker, error) { return Worker{}, errPending }
func (s *Service) Cordon(ctx context.Context, id string, cordoned bool, author string) (Worker, error) {
	return Worker{}, errPending
}
func (s *Service) Rebalance(ctx context.Context, author string) (Rebalance, error) {
	return Rebalance{}, errPending
}
func (s *Service) Bulk(ctx context.Context, b Bulk) (BulkResult, error) {
	return BulkResult{}, errPending
}
