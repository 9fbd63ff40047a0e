"""The worst that a client can send to each route, measured by what others have to wait meanwhile."""
