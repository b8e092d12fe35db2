"""What exists: people, dealers, bikes, plates and trade-ins. Imports nothing else of Mapai."""
