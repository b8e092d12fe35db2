"""How the world talks to Mapai: JSON API, pages, partners' clients, scheduler and commands."""
