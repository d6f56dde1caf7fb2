-- What the daemon keeps for itself, shared by its replicas.

-- For what may be lost with the last moments before a crash of the server, since it is only done again: a lease, a
-- fetch that was claimed, a push that was judged. True always; the transaction it is called in does not wait for its
-- commit to be on disk. Never where a call to Omisell, or an answer to it, stands on the commit.
CREATE FUNCTION omisync.unhurried() RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT set_config('synchronous_commit', 'off', true) IS NOT NULL
$$;

-- The token of the one Omisell account of this schema.
CREATE TABLE omisync.tokens (
    single               boolean PRIMARY KEY DEFAULT true CHECK (single),
    token                text        NOT NULL,
    expired_time         bigint,
    refresh_token        text,
    refresh_expired_time bigint,
    obtained_at          timestamptz NOT NULL DEFAULT now()
);

-- Named leases between replicas ('leader', 'token'): by the database's clock, so that no machine's clock matters.
CREATE TABLE omisync.leases (
    name   text PRIMARY KEY,
    holder uuid        NOT NULL,
    until  timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE omisync.replicas (
    id         uuid PRIMARY KEY,
    name       text        NOT NULL,
    version    text        NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now(),
    state      jsonb       NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);

CREATE TABLE omisync.pauses (
    kind      text PRIMARY KEY CONSTRAINT pauses_kind CHECK (kind IN ('order.add', 'order.cancel')),
    reason    text,
    paused_by text        NOT NULL,
    paused_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE omisync.sweeps (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text        NOT NULL CONSTRAINT sweeps_kind CHECK (kind IN ('incremental', 'full', 'manual')),
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    window_from bigint,                    -- Omisell's clock, Unix seconds
    window_to   bigint,
    pages       integer     NOT NULL DEFAULT 0,
    seen        integer     NOT NULL DEFAULT 0,
    repaired    integer     NOT NULL DEFAULT 0,
    error       text
);
CREATE INDEX sweeps_cursor ON omisync.sweeps (kind, id DESC);

-- What needs a person: two orders at Omisell for one number, for example. Never resolved by the daemon itself.
CREATE TABLE omisync.findings (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text        NOT NULL,
    order_number text        NOT NULL,
    subject      text        NOT NULL,
    data         jsonb       NOT NULL DEFAULT '{}',
    found_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (kind, order_number, subject)
);

-- Who changed what by hand.
CREATE TABLE omisync.audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    who     text        NOT NULL,
    action  text        NOT NULL,
    subject text,
    data    jsonb       NOT NULL DEFAULT '{}'
);
