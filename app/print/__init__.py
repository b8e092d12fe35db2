"""Documents to be printed: the point's plaque and poster, label sheets. Set by Typst from the templates beside."""
