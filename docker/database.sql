-- Executed once, by the image's superuser, when the volume is new: the site's own role and database.
\set password `printenv POSTGRES_PASSWORD`
CREATE ROLE deerflow LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
CREATE DATABASE deerflow OWNER deerflow;
REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
-- The superuser can still log in inside the container: docker compose exec database psql -U postgres
ALTER ROLE CURRENT_USER PASSWORD NULL;
