"""From a folder of labelled pictures to an index: classes, videos, splits and masks as the folders say."""
