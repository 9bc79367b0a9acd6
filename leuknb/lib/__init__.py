"What serves the stages: files, caches, run folders, widgets."
