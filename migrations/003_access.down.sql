drop table gantry.audit;
drop table gantry.tokens;
