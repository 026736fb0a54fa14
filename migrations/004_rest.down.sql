-- The topics that connectors have used are forgotten; nothing that runs needs them.
drop table gantry.log_levels;
drop sequence gantry.log_changes;
drop table gantry.used_topics;
alter table gantry.connectors drop column topics_reset_at, drop column emptied;
