alter table gantry.schemas drop column published_at;
drop table gantry.checkpoint_positions;
drop table gantry.checkpoints;
drop table gantry.closed_queues;
alter table gantry.open_queues drop column base, drop column tail_seq, drop column tail;
