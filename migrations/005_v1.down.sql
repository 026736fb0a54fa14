drop table gantry.kept_answers;
drop table gantry.probes;
drop index gantry.events_by_name;
alter table gantry.workers drop column version, drop column cordoned, drop column rebalance_seq;
alter table gantry.task_status
    drop column filtered, drop column bad, drop column dead_letters, drop column retrying, drop column retrying_since;
drop table gantry.kept_positions;
alter table gantry.connectors drop column labels, drop column keeps_positions, drop column drops_topics;
