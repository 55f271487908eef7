-- The tables behind PostGraphile: the flights of January 2013 and their airlines; run where seed.py has put them.
CREATE TABLE airlines (carrier text PRIMARY KEY, name text NOT NULL);
CREATE TABLE flights (
  id integer PRIMARY KEY, carrier text NOT NULL REFERENCES airlines, flight integer NOT NULL, origin text NOT NULL,
  dest text NOT NULL, distance integer NOT NULL, dep_delay double precision, time_hour timestamptz NOT NULL
);
\copy airlines FROM 'airlines.csv' WITH (FORMAT csv, HEADER)
\copy flights FROM 'flights.csv' WITH (FORMAT csv, HEADER)
CREATE INDEX ON flights (carrier);
CREATE INDEX ON flights (origin); -- or PostGraphile has no condition on it

-- A field that cannot be read, so that an answer is partial.
CREATE FUNCTION airlines_broken(airline airlines) RETURNS integer LANGUAGE sql STABLE
AS 'SELECT 1 / (length(airline.carrier) - 2)';
