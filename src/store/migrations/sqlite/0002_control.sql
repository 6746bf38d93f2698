-- SQLite cannot change a check in place, so the tables are made anew. "or" rather than "in": for a list
-- SQLite makes a table of its own each time that a row is written, which took a third of an insert.
create table new_jobs (
  seq            integer primary key,
  id             text not null unique,
  command        text not null,
  state          text not null check (state = 'pending' or state = 'processing'
    or state = 'completed' or state = 'failed' or state = 'dead' or state = 'cancelled'
    or state = 'blocked'),
  queue          text not null,
  priority       integer not null,
  attempts       integer not null default 0,
  max_retries    integer not null,
  backoff_base   real not null,
  backoff_max_ms integer not null,
  backoff_jitter real not null,
  timeout_ms     integer,
  ok_codes       text not null default '[]',
  fatal_codes    text not null default '[]',
  snooze_ms      integer,
  snoozes        integer not null default 0,
  cwd            text not null,
  env            text not null,
  tags           text not null,
  key            text,
  schedule       text,
  run_at         integer not null,
  created_at     integer not null,
  updated_at     integer not null,
  started_at     integer,
  finished_at    integer,
  exit_code      integer,
  signal         text,
  last_error     text,
  worker_id      text,
  lease_token    text,
  -- That somebody wants a running job to be cancelled, and how.
  cancel         text check (cancel = 'graceful' or cancel = 'force'),
  -- Of a job that waits: 1 if it is due, 0 if not yet. Claims read an index of those that are due only.
  ready          integer check (ready = 1 or ready = 0),
  -- The order of claims within a queue. Two half hours of waiting are worth one step of priority, and
  -- jobs that came due within half an hour of each other go strictly by their priority.
  rank           integer generated always as (2 * priority - max(created_at, run_at) / 1800000) virtual,
  check ((state = 'processing') = (lease_token is not null)),
  check ((state = 'pending' or state = 'failed') = (ready is not null)),
  check (cancel is null or state = 'processing')
) strict;

insert into new_jobs (seq, id, command, state, queue, priority, attempts, max_retries, backoff_base,
  backoff_max_ms, backoff_jitter, timeout_ms, cwd, env, tags, run_at, created_at, updated_at,
  started_at, finished_at, exit_code, signal, last_error, worker_id, lease_token, ready)
select seq, id, command, state, queue, priority, attempts, max_retries, backoff_base,
  backoff_max_ms, backoff_jitter, timeout_ms, cwd, env, tags, run_at, created_at, updated_at,
  started_at, finished_at, exit_code, signal, last_error, worker_id, lease_token, ready
from jobs;
drop table jobs;
alter table new_jobs rename to jobs;

create table new_attempts (
  seq                integer primary key,
  job                integer not null,
  attempt            integer not null,
  outcome            text check (outcome is null or outcome = 'completed' or outcome = 'failed'
    or outcome = 'timed_out' or outcome = 'lost' or outcome = 'interrupted' or outcome = 'cancelled'),
  worker_id          text not null,
  pid                integer,
  process_started_at text,
  started_at         integer not null,
  finished_at        integer,
  exit_code          integer,
  signal             text,
  error              text,
  check ((outcome is null) = (finished_at is null))
) strict;

insert into new_attempts select * from attempts;
drop table attempts;
alter table new_attempts rename to attempts;

create index attempts_by_job on attempts (job, seq);

create trigger attempts_deleted after delete on attempts begin
  delete from output where attempt = old.seq;
end;

create index jobs_claimable on jobs (queue, rank desc, run_at, seq) where ready = 1;
create index jobs_not_due on jobs (run_at) where ready = 0;
create index jobs_by_state on jobs (state, seq);
create index jobs_expiring on jobs (finished_at) where state = 'completed' or state = 'cancelled';
create unique index jobs_by_key on jobs (key)
  where key is not null and state in ('blocked', 'pending', 'processing', 'failed');

create trigger jobs_moved after update of state, queue on jobs
  when new.state <> old.state or new.queue <> old.queue
begin
  insert into job_counts values (old.queue, old.state, -1), (new.queue, new.state, 1)
    on conflict do update set jobs = jobs + excluded.jobs;
end;

create trigger jobs_deleted after delete on jobs begin
  update job_counts set jobs = jobs - 1 where queue = old.queue and state = old.state;
  delete from attempts where job = old.seq;
  delete from dependencies where job = old.seq or needs = old.seq;
end;

-- A job that runs after another one: completed, or with any_end however that one ended.
create table dependencies (
  job     integer not null,
  needs   integer not null,
  any_end integer not null check (any_end in (0, 1)),
  met     integer not null check (met in (0, 1)),
  primary key (job, needs)
) strict, without rowid;

create index dependencies_by_need on dependencies (needs);

-- Only queues that somebody has paused or limited.
create table queues (
  name         text primary key,
  paused_at    integer,
  pause_reason text,
  max_running  integer check (max_running > 0)
) strict, without rowid;

-- In which order queues were served last, as far as there were several to choose from.
create table turns (
  queue  text primary key,
  served integer not null
) strict, without rowid;

-- The queues that a worker process serves, as a JSON array; null for all.
alter table workers add column queues text;

create table schedules (
  name       text primary key,
  cron       text not null,
  time_zone  text not null,
  missed     text not null check (missed in ('one', 'skip', 'all')),
  -- What becomes a job at each tick, as JSON.
  request    text not null,
  created_at integer not null,
  paused_at  integer,
  next_at    integer,
  last_tick  integer,
  last_job   text
) strict, without rowid;

create table events (
  seq     integer primary key,
  at      integer not null,
  event   text not null,
  job     text,
  attempt integer,
  cause   text,
  actor   text not null
) strict;
