# Nothing to leave out: a miniature image has no documentation and no graphics.
{ }
