-- The tables of a buffer as the version before the columns agent_kind, stored_hash and redaction made them.
create table meta (key text primary key, value) without rowid;
create table locations (
    location_id integer primary key, host text not null, root blob not null,
    project_id text not null, file_path text not null, file_key text not null,
    key_bytes blob not null, path_bytes blob not null, unique (host, root, path_bytes)
);
create table files (
    file_id integer primary key, location_id integer not null references locations,
    device integer, inode integer, generation integer not null, size integer, mtime_ns integer,
    offset integer not null, head_hash blob, head_length integer not null, tail_hash blob,
    state text not null, entries integer not null, quarantined integer not null,
    entry_bytes integer not null, quarantined_bytes integer not null,
    separator_bytes integer not null, content_sum blob not null
);
create table records (
    seq integer primary key autoincrement, entry_id blob not null, record_kind text not null,
    location_id integer not null references locations, file_generation integer not null,
    byte_offset integer not null, byte_length integer not null, session_id text, type text,
    uuid text, parent_uuid text, timestamp text, request_id text, version text, cwd text,
    git_branch text, is_sidechain integer, reason text, ingested_at integer not null,
    raw blob not null
);
create table consumers (
    name text primary key, acknowledged integer not null, updated_at integer not null
) without rowid;
create table tokens (token text primary key, noted_at integer not null) without rowid;
create table if not exists incarnations (
    number integer primary key autoincrement, incarnation text not null
);
create table if not exists dead_letters (
    entry_id blob primary key, record_kind text not null,
    location_id integer not null references locations, file_generation integer not null,
    byte_offset integer not null, byte_length integer not null, session_id text, type text,
    uuid text, parent_uuid text, timestamp text, request_id text, version text, cwd text,
    git_branch text, is_sidechain integer, reason text, ingested_at integer not null,
    raw blob not null, seq integer not null, server_reason text not null,
    refused_at integer not null
);
create table if not exists journal (
    journal_id integer primary key, at integer not null, until integer not null,
    event text not null, path text, location_id integer, count integer not null, detail text
);
create table if not exists requests (
    request_id integer primary key autoincrement, kind text not null, arguments text not null,
    requested_at integer not null, taken_at integer, done_at integer, answer text
);
create table if not exists retried (
    entry_id blob primary key, retried_at integer not null, entries integer not null
) without rowid;
create table if not exists verified (
    file_id integer primary key, generation integer not null, offset integer not null,
    content_sum blob not null, prefix_hash blob not null, verified_at integer not null,
    is_due integer not null
);
create index if not exists verification_due on verified (verified_at) where is_due;
create table if not exists rereads (
    path_bytes blob primary key, asked_at integer not null, reason text not null
) without rowid;
create table if not exists foreign_files (file_id integer primary key);
insert or ignore into verified
    select file_id, generation, 0, zeroblob(16), zeroblob(16), 0, 1 from files
    where offset > 0 and not exists (select 1 from meta where key = 'verifies');
insert or ignore into meta values ('verifies', 1);
create index if not exists quarantined on records (seq) where record_kind = 'quarantine';
create view if not exists pending_entries as
    select r.seq as id, l.project_id, r.session_id,
           strftime('%Y-%m-%dT%H:%M:%fZ', r.ingested_at / 1e6, 'unixepoch') as created_at,
           r.seq <= coalesce((select acknowledged from consumers where name = 'mongodb'),
                             (select min(acknowledged) from consumers), 0) as synced,
           r.record_kind, r.type, r.uuid, r.timestamp, l.file_path, l.file_key, r.byte_offset,
           r.byte_length, lower(hex(r.entry_id)) as entry_id, r.raw as entry
    from records r join locations l using (location_id);
create view if not exists file_positions as
    select l.file_path, f.offset as position, f.offset as last_position, l.project_id, f.size,
           f.mtime_ns, f.inode, f.generation, f.state, f.entries, f.quarantined
    from files f join locations l using (location_id);
