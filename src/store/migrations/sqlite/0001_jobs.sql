create table jobs (
  seq            integer primary key,
  id             text not null unique,
  command        text not null,
  state          text not null
    check (state in ('pending', 'processing', 'completed', 'failed', 'dead', 'cancelled')),
  queue          text not null default 'default',
  priority       integer not null default 0,
  attempts       integer not null default 0,
  max_retries    integer not null,
  backoff_base   real not null,
  backoff_max_ms integer not null,
  backoff_jitter real not null,
  timeout_ms     integer,
  cwd            text not null,
  env            text not null default '{}',
  tags           text not null default '[]',
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
  -- Of a job that waits: 1 if it is due, 0 if not yet. Claims read an index of those that are due only.
  ready          integer check (ready in (0, 1)),
  check ((state = 'processing') = (lease_token is not null)),
  check ((state in ('pending', 'failed')) = (ready is not null))
) strict;

create index jobs_claimable on jobs (priority desc, run_at, seq) where ready = 1;
create index jobs_not_due on jobs (run_at) where ready = 0;
create index jobs_by_state on jobs (state, seq);
create index jobs_expiring on jobs (finished_at) where state in ('completed', 'cancelled');

create table attempts (
  seq                integer primary key,
  job                integer not null,
  attempt            integer not null,
  outcome            text
    check (outcome in ('completed', 'failed', 'timed_out', 'lost', 'interrupted', 'cancelled')),
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

create index attempts_by_job on attempts (job, seq);

create table output (
  seq       integer primary key,
  attempt   integer not null,
  start     integer not null,
  is_stderr integer not null check (is_stderr in (0, 1)),
  bytes     blob not null
) strict;

create index output_by_attempt on output (attempt, start);

create table workers (
  id                 text primary key,
  host               text not null,
  machine            text not null,
  pid                integer not null,
  process_started_at text not null,
  count              integer not null,
  lease_ms           integer not null,
  started_at         integer not null,
  heartbeat_at       integer not null,
  beat               integer not null default 0,
  stop               text check (stop in ('graceful', 'force'))
) strict;

create table settings (
  name  text primary key,
  value text not null
) strict;

-- How many jobs each queue has in each state, so that nobody has to count them. Triggers keep it, but
-- for inserts: whoever adds jobs adds their number too, at once. A trigger would double the cost of a job.
create table job_counts (
  queue text not null,
  state text not null,
  jobs  integer not null,
  primary key (queue, state)
) strict, without rowid;

create trigger jobs_moved after update of state, queue on jobs
  when new.state <> old.state or new.queue <> old.queue
begin
  insert into job_counts values (old.queue, old.state, -1), (new.queue, new.state, 1)
    on conflict do update set jobs = jobs + excluded.jobs;
end;

create trigger jobs_deleted after delete on jobs begin
  update job_counts set jobs = jobs - 1 where queue = old.queue and state = old.state;
  delete from attempts where job = old.seq;
end;

create trigger attempts_deleted after delete on attempts begin
  delete from output where attempt = old.seq;
end;
