-- Everything goes, positions included: whatever runs on this catalog starts from the beginning after the next migration.
-- The schema itself stays, because the table of versions lies in it.
drop table gantry.events;
drop table gantry.workers;
drop table gantry.task_status;
drop table gantry.connector_status;
drop table gantry.queue_maps;
drop table gantry.schemas;
drop table gantry.fences;
drop table gantry.open_queues;
drop table gantry.positions;
drop table gantry.epochs;
drop table gantry.claimants;
drop table gantry.leases;
drop table gantry.tasks;
drop table gantry.planned_tasks;
drop table gantry.restarts;
drop table gantry.revisions;
drop table gantry.connectors;
drop sequence gantry.connector_uids;
drop table gantry.epoch_floor;
drop table gantry.environment;
